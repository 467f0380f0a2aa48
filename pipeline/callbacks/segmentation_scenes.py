"""Images with their true and predicted masks: which are worth showing, and how they are shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.figures_segmentation import IGNORED, MaskScene

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class JudgedMask:
    """A prediction and how good it is; can be sent to another process.

    Attributes:
        index: Position in the data set.
        iou: Of this image alone, see `image_iou`.
        prediction: uint8 (H, W), class ids.
    """

    index: int
    iou: float
    prediction: Bytes


def judged_masks(batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> Iterator[JudgedMask]:
    """The images of a batch that have a pixel that counts.

    Args:
        batch: A `SegmentationBatch`.
        outputs: ``mask``, the predicted class ids of each image.
    """
    for place, index in enumerate(batch["index"].tolist()):
        prediction = outputs["mask"][place].cpu().numpy()
        iou = image_iou(batch["mask"][place].cpu().numpy(), prediction)
        if not np.isnan(iou):
            yield JudgedMask(index=index, iou=iou, prediction=prediction)


def image_iou(truth: Bytes, prediction: Bytes) -> float:
    """Mean IoU over the classes that are in a mask or in its prediction; NaN where no pixel counts.

    It says which images are worth showing. A measure of a data set counts its pixels all together.

    Args:
        truth: (H, W) class ids; ``IGNORED`` where a pixel does not count.
        prediction: (H, W) class ids.
    """
    counts = truth != IGNORED
    true, predicted = truth[counts], prediction[counts]
    both = np.bincount(true[true == predicted], minlength=256)
    either = np.bincount(true, minlength=256) + np.bincount(predicted, minlength=256) - both
    there = either > 0
    return float(np.mean(both[there] / either[there])) if there.any() else float("nan")


def extremes(judged: Sequence[JudgedMask], count: int) -> tuple[list[JudgedMask], list[JudgedMask]]:
    """The images with the lowest IoU, and of the others those with the highest.

    Both together are all that is needed of these images to find the extremes of more.

    Args:
        judged: In any order; an image that several processes saw counts once.
        count: How many of either.
    """
    once = {one.index: one for one in judged}.values()
    order = sorted(once, key=lambda one: (one.iou, one.index))
    return order[:count], order[count:][::-1][:count]


def watched_scene(batch: Mapping[str, Any], outputs: Mapping[str, Any], place: int) -> MaskScene:
    """One image of a batch.

    Args:
        batch: A `SegmentationBatch`.
        outputs: ``mask``, the predicted class ids of each image.
        place: Which image of the batch.
    """
    item = {name: batch[name][place] for name in ("image", "mask")}
    return mask_scene(item, outputs["mask"][place].cpu().numpy())


def mask_scene(item: Mapping[str, Any], prediction: Bytes) -> MaskScene:
    """One item of a data set with its prediction, uint8 (H, W)."""
    truth = np.asarray(item["mask"].cpu(), np.uint8)
    return MaskScene(
        image=np.asarray(item["image"].cpu(), np.uint8).transpose(1, 2, 0),
        truth=truth,
        prediction=prediction,
        title=f"IoU {image_iou(truth, prediction):.2f}",
    )
