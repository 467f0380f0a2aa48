"""COCO's measures (https://cocodataset.org/#detection-eval), counted by faster-coco-eval."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as rle
from numpy.typing import NDArray

from lightning_modules.metrics.detection.records import Judged

Kind = Literal["bbox", "segm"]

NAMES = (
    "map",
    "map_50",
    "map_75",
    "map_small",
    "map_medium",
    "map_large",
    "mar_1",
    "mar_10",
    "mar_100",
    "mar_small",
    "mar_medium",
    "mar_large",
)
"""The twelve in COCO's order."""


def evaluated(judged: Sequence[Judged], *, num_classes: int, kind: Kind) -> COCOeval_faster:
    """Compare detections with objects as COCO does.

    The library wants dictionaries as COCO's files have them; they are made in memory. Difficult objects
    are objects like any other here, since COCO knows no difficulty.

    Args:
        judged: Images, each once.
        num_classes: C.
        kind: Whether boxes or masks are compared; for masks, every image must have both kinds of them.

    Returns:
        After its sums: ``stats`` has the twelve numbers, ``eval`` has ``precision`` (10 IoUs, 101
        recalls, C, 4 ranges of area, 3 limits of detections) and ``recall`` (10, C, 4, 3); -1 in all of
        them where no such object exists.
    """
    images = [{"id": place, "height": one.height, "width": one.width} for place, one in enumerate(judged)]
    categories = [{"id": label, "name": str(label)} for label in range(num_classes)]
    shared = {"images": images, "categories": categories}
    truth = COCO({**shared, "annotations": _numbered([_objects(one, kind) for one in judged])})
    found = COCO({**shared, "annotations": _numbered([_detections(one, kind) for one in judged])})
    evaluation = COCOeval_faster(truth, found, iouType=kind, print_function=_silent)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


def coco_measures(judged: Sequence[Judged], *, num_classes: int, kind: Kind) -> dict[str, float]:
    """COCO's twelve numbers by name, in [0, 1]; -1 where no such object exists.

    ``map`` is the mean over classes and ten IoUs from 0.5 to 0.95, ``map_50`` and ``map_75`` that at one
    IoU, ``mar_10`` the recall with the best ten detections of each class and image; ``small`` is less than
    32², ``large`` more than 96² pixels.

    Args:
        judged: Images, each once.
        num_classes: C.
        kind: Whether boxes or masks are compared.
    """
    if not judged:
        return dict.fromkeys(NAMES, -1.0)
    numbers = evaluated(judged, num_classes=num_classes, kind=kind).stats[: len(NAMES)]
    return {name: float(number) for name, number in zip(NAMES, numbers, strict=True)}


def _objects(judged: Judged, kind: Kind) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"category_id": label, "bbox": box, "area": area, "iscrowd": crowd}
        for label, box, area, crowd in zip(
            judged.true_labels.tolist(),
            _corner_and_size(judged.true_boxes).tolist(),
            judged.true_areas.astype(np.float64).tolist(),
            judged.is_crowd.astype(int).tolist(),
            strict=True,
        )
    ]
    return _with_masks(rows, judged.true_masks) if kind == "segm" else rows


def _detections(judged: Judged, kind: Kind) -> list[dict[str, Any]]:
    boxes = _corner_and_size(judged.boxes)
    areas = boxes[:, 2] * boxes[:, 3]
    if kind == "segm" and judged.masks:
        areas = np.asarray(rle.area(judged.masks), dtype=np.float64)
    rows: list[dict[str, Any]] = [
        {"category_id": label, "bbox": box, "area": area, "score": score, "iscrowd": 0}
        for label, box, area, score in zip(
            judged.labels.tolist(), boxes.tolist(), areas.tolist(), judged.scores.tolist(), strict=True
        )
    ]
    return _with_masks(rows, judged.masks) if kind == "segm" else rows


def _with_masks(rows: list[dict[str, Any]], masks: Sequence[Any] | None) -> list[dict[str, Any]]:
    assert masks is not None, "masks are compared where there are masks"
    return [{**row, "segmentation": mask} for row, mask in zip(rows, masks, strict=True)]


def _corner_and_size(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, 4), x y width height. In doubles: the difference of two float32 would be rounded."""
    corners = boxes.astype(np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _numbered(images: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of all images with their own number, from 1: COCO takes 0 for no object."""
    rows = [{**row, "image_id": place} for place, image in enumerate(images) for row in image]
    for number, row in enumerate(rows, start=1):
        row["id"] = number
    return rows


def _silent(_: object) -> None:
    """Where the library would print."""
