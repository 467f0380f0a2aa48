"""From batches, detections and judged images to pictures with boxes; the task's types are not known here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as run_lengths
from numpy.typing import NDArray
from torch import Tensor

from pipeline.callbacks.epoch_pictures import Watched
from pipeline.figures_detection import Marked, Scene, Style

Mask = NDArray[np.bool_]


def watched(
    batch: Mapping[str, Any],
    found: Mapping[str, Tensor],
    *,
    place: int,
    names: Sequence[str],
    threshold: float,
) -> Watched[Scene]:
    """One image of a batch with what is there and what was found.

    Args:
        batch: A `DetectionBatch`.
        found: ``boxes``, ``scores``, ``labels`` and perhaps ``masks`` of the image.
        place: Which image of the batch.
        names: C class names.
        threshold: Detections with a lower score are not drawn.
    """
    ignored = (batch["is_crowd"][place] | batch["is_difficult"][place]).tolist()
    truth = _marked(
        batch["boxes"][place],
        texts=[names[label] for label in batch["labels"][place].tolist()],
        styles=["ignored" if one else "truth" for one in ignored],
        masks=_arrays(batch["masks"][place]) if batch["masks"] else None,
    )
    order = found["scores"].argsort(descending=True)
    sure = order[found["scores"][order] >= threshold]
    predictions = _marked(
        found["boxes"][sure],
        texts=_with_scores(names, found["labels"][sure].tolist(), found["scores"][sure].tolist()),
        styles=["prediction"] * len(sure),
        masks=_arrays(found["masks"][sure]) if "masks" in found else None,
    )
    scene = Scene(
        image=batch["image"][place].cpu().numpy().transpose(1, 2, 0),
        title=_title(found["scores"], threshold),
        truth=truth,
        predictions=predictions,
    )
    return Watched(index=int(batch["index"][place]), scene=scene)


def mistakes(image: Mapping[str, Any]) -> int:
    """How much is wrong in an image: wrong detections and missed objects."""
    return len(image["wrong"]) + len(image["missed"])


def extremes(images: Sequence[Mapping[str, Any]], count: int) -> tuple[list[int], list[int]]:
    """Places of the images with most mistakes, and of the best.

    Args:
        images: ``right``, ``wrong`` and ``missed`` of each, lists of places.
        count: How many of either.

    Returns:
        Those with most mistakes, none without; and of those without any, those with most objects found.
    """
    worst = sorted(range(len(images)), key=lambda place: -mistakes(images[place]))
    best = sorted(worst, key=lambda place: -len(images[place]["right"]))
    return (
        [place for place in worst if mistakes(images[place])][:count],
        [place for place in best if images[place]["right"] and not mistakes(images[place])][:count],
    )


def judged_scene(
    picture: NDArray[np.uint8], judged: Any, image: Mapping[str, Any], names: Sequence[str]
) -> Scene:
    """One image with what is right and wrong in it.

    Args:
        picture: uint8 (H, W, 3), RGB.
        judged: Boxes, labels and scores found, and those that are there; see the task's records.
        image: ``right``, ``wrong`` and ``missed``, places of detections and objects.
        names: C class names.
    """
    shown = sorted([*image["right"], *image["wrong"]], key=lambda place: -judged.scores[place])
    labels, scores = judged.labels[shown].tolist(), judged.scores[shown].tolist()
    predictions = _marked(
        judged.boxes[shown],
        texts=_with_scores(names, labels, scores),
        styles=["prediction" if place in set(image["right"]) else "wrong" for place in shown],
        masks=_decoded(judged.masks, shown),
    )
    everything = range(len(judged.true_labels))
    truth = _marked(
        judged.true_boxes,
        texts=[names[label] for label in judged.true_labels.tolist()],
        styles=[_style(judged, image, place) for place in everything],
        masks=_decoded(judged.true_masks, everything),
    )
    right, wrong, missed = (len(image[name]) for name in ("right", "wrong", "missed"))
    title = f"{right} right, {wrong} wrong, {missed} missed"
    return Scene(image=picture, title=title, truth=truth, predictions=predictions)


def _style(judged: Any, image: Mapping[str, Any], place: int) -> Style:
    if judged.is_crowd[place] or judged.is_difficult[place]:
        return "ignored"
    return "wrong" if place in image["missed"] else "truth"


def _marked(
    boxes: Any, *, texts: Sequence[str], styles: Sequence[Style], masks: Sequence[Mask] | None
) -> list[Marked]:
    shapes = [None] * len(texts) if masks is None else masks
    return [
        Marked(box=box, text=text, style=style, mask=mask)
        for box, text, style, mask in zip(boxes.tolist(), texts, styles, shapes, strict=True)
    ]


def _with_scores(names: Sequence[str], labels: Sequence[int], scores: Sequence[float]) -> list[str]:
    return [f"{names[label]} {score:.2f}" for label, score in zip(labels, scores, strict=True)]


def _title(scores: Tensor, threshold: float) -> str:
    """Early in training nothing is sure: then the best score says how far it is."""
    sure = int((scores >= threshold).sum())
    if sure or not len(scores):
        return f"{sure} detections"
    return f"no detections: best score {float(scores.max()):.2f}"


def _decoded(masks: Sequence[Any] | None, places: Sequence[int]) -> list[Mask] | None:
    if masks is None:
        return None
    return [run_lengths.decode(masks[place]).astype(bool) for place in places]


def _arrays(masks: Tensor) -> list[Mask]:
    return list(masks.cpu().numpy().astype(bool))
