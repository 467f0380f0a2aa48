"""Overlaps against the reference implementation."""

import numpy as np
import pytest
from pycocotools import mask as reference

from lightning_modules.metrics.detection.overlaps import covered, overlaps

BOXES = np.random.default_rng(0).uniform(0, 60, (12, 4)).astype(np.float32)
BOXES[:, 2:] += BOXES[:, :2]
OTHERS = BOXES[::2] + np.float32(7)


def sizes(boxes: np.ndarray) -> np.ndarray:
    corners = boxes.astype(np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


@pytest.mark.parametrize(("function", "crowd"), [(overlaps, 0), (covered, 1)])
def test_overlaps_are_those_of_coco(function: object, crowd: int) -> None:
    expected = reference.iou(sizes(BOXES), sizes(OTHERS), [crowd] * len(OTHERS))
    assert function(BOXES, OTHERS) == pytest.approx(expected)  # type: ignore[operator]
    assert 0 < np.count_nonzero(expected) < expected.size


def test_boxes_without_an_area_overlap_nothing() -> None:
    flat = np.array([[5, 5, 5, 9]], dtype=np.float32)
    assert overlaps(flat, flat).tolist() == [[0]]
    assert covered(flat, flat).tolist() == [[0]]
    assert overlaps(flat[:0], BOXES).shape == (0, 12)
