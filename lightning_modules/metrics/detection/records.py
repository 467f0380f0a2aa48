"""One image with what was found and what is there: all that the measures of detection need of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from faster_coco_eval.core import mask as rle
from numpy.typing import NDArray
from torch import Tensor

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class RunLengths(TypedDict):
    """A mask as COCO's run lengths: a hundred bytes instead of one for each pixel.

    Attributes:
        size: Height and width in pixels.
        counts: Compressed lengths of runs, down the columns; text, so that it can be written as JSON.
    """

    size: list[int]
    counts: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """N detections and M objects of one image, on the CPU; can be pickled and sent to another process.

    Attributes:
        index: Position in the data set.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        boxes: float32 (N, 4), x1 y1 x2 y2 in pixels of the image; x2 and y2 are exclusive.
        scores: float32 (N,), in [0, 1].
        labels: int64 (N,), class ids in [0, C).
        masks: N masks of the detections; None where nobody predicts any.
        true_boxes: float32 (M, 4), as ``boxes``.
        true_labels: int64 (M,), class ids in [0, C).
        true_areas: float32 (M,), area of each object in pixels, which is less than that of its box
            where the data has outlines.
        is_crowd: bool (M,), whether a box stands for many objects.
        is_difficult: bool (M,), as PASCAL VOC marks them.
        true_masks: M masks of the objects; None where there are none.
    """

    index: int
    height: int
    width: int
    boxes: FloatArray
    scores: FloatArray
    labels: IntArray
    masks: list[RunLengths] | None
    true_boxes: FloatArray
    true_labels: IntArray
    true_areas: FloatArray
    is_crowd: BoolArray
    is_difficult: BoolArray
    true_masks: list[RunLengths] | None


def judge(
    found: Mapping[str, Tensor],
    *,
    index: int,
    height: int,
    width: int,
    true_boxes: Tensor,
    true_labels: Tensor,
    true_areas: Tensor,
    is_crowd: Tensor,
    is_difficult: Tensor,
    true_masks: Tensor | None = None,
) -> Judged:
    """Take the tensors of one image, on whatever device, to what the measures need.

    A network that diverged gives numbers that are not finite; such detections are left out, since
    nothing says where they are or how sure they are.

    Args:
        found: ``boxes`` (N, 4), x1 y1 x2 y2 in pixels of the image, ``scores`` (N,), in [0, 1], ``labels``
            (N,), class ids in [0, C), and ``masks`` (N, H, W), bool or 0 and 1, where there are any.
        index: Position in the data set.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        true_boxes: (M, 4), as ``boxes``.
        true_labels: (M,), class ids in [0, C).
        true_areas: (M,), in pixels.
        is_crowd: (M,), whether a box stands for many objects.
        is_difficult: (M,), as PASCAL VOC marks them.
        true_masks: (M, H, W), bool or 0 and 1; None where nobody asked for any.
    """
    sane = torch.isfinite(found["boxes"]).all(dim=1) & torch.isfinite(found["scores"])
    return Judged(
        index=index,
        height=height,
        width=width,
        boxes=_floats(found["boxes"][sane]).reshape(-1, 4),
        scores=_floats(found["scores"][sane]),
        labels=_on_cpu(found["labels"][sane].long()),
        masks=encoded(found["masks"][sane]) if "masks" in found else None,
        true_boxes=_floats(true_boxes).reshape(-1, 4),
        true_labels=_on_cpu(true_labels.long()),
        true_areas=_floats(true_areas),
        is_crowd=_on_cpu(is_crowd.bool()),
        is_difficult=_on_cpu(is_difficult.bool()),
        true_masks=None if true_masks is None else encoded(true_masks),
    )


def encoded(masks: Tensor) -> list[RunLengths]:
    """COCO's run lengths of N masks.

    Args:
        masks: (N, H, W), bool or 0 and 1, on any device.
    """
    if not len(masks):
        return []
    # COCO runs down the columns.
    columns = np.asfortranarray(masks.detach().to(torch.uint8).cpu().numpy().transpose(1, 2, 0))
    return [
        RunLengths(size=list(mask["size"]), counts=mask["counts"].decode("ascii"))
        for mask in rle.encode(columns)
    ]


def joined(parts: Sequence[Sequence[Judged]]) -> list[Judged]:
    """All images once, in the order of the data set; several processes may have seen the same one."""
    first: dict[int, Judged] = {}
    for part in parts:
        for judged in part:
            first.setdefault(judged.index, judged)
    return [first[index] for index in sorted(first)]


def _floats(values: Tensor) -> FloatArray:
    array: FloatArray = values.detach().float().cpu().numpy()
    return array


def _on_cpu(values: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = values.detach().cpu().numpy()
    return array
