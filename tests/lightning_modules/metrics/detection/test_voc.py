"""VOC's average precision against a case by hand, the devkit's loop written out, and another library."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from lightning_modules.metrics.detection.measures import detection_measures
from lightning_modules.metrics.detection.records import Judged
from lightning_modules.metrics.detection.voc import area, eleven_points, mean_of_known, voc_precisions
from tests.lightning_modules.metrics.detection.images import random_images, written

BOXES = [(left, 0, left + 20, 20) for left in range(0, 300, 30)]
NOWHERE = (0, 200, 20, 220)


def devkit(judged: Sequence[Judged], label: int) -> tuple[float, float]:
    """The definition, one detection after the other, with inclusive pixels as in VOC's files."""
    rows = []
    for one in judged:
        for row in np.flatnonzero(one.labels == label).tolist():
            rows.append((float(one.scores[row]), one, one.boxes[row]))
    rows.sort(key=lambda row: -row[0])
    wanted = sum(
        bool(one.true_labels[place] == label and not one.is_difficult[place])
        for one in judged
        for place in range(len(one.true_labels))
    )
    found: set[tuple[int, int]] = set()
    right, wrong = [], []
    for _, one, box in rows:
        best, which = -1.0, -1
        for place in np.flatnonzero(one.true_labels == label).tolist():
            value = inclusive_iou(box, one.true_boxes[place])
            if value > best:
                best, which = value, int(place)
        if best >= 0.5 and one.is_difficult[which]:
            continue
        hit = best >= 0.5 and (one.index, which) not in found
        found.add((one.index, which) if hit else (-1, -1))
        right.append(hit)
        wrong.append(not hit)
    hits, misses = np.cumsum(right), np.cumsum(wrong)
    recall, precision = hits / wanted, hits / np.maximum(hits + misses, 1)
    points = [precision[recall >= tenth - 1e-9].max(initial=0) for tenth in np.linspace(0, 1, 11)]
    surface, before = 0.0, 0.0
    for start, reached in enumerate(recall.tolist()):
        surface += (reached - before) * precision[start:].max()
        before = reached
    return float(np.mean(points)), float(surface)


def inclusive_iou(box: np.ndarray, other: np.ndarray) -> float:
    """As the devkit counts: the last pixel belongs to the box, and every side is one longer."""
    first, second = box.astype(float), other.astype(float)
    first[2:] -= 1
    second[2:] -= 1
    width = min(first[2], second[2]) - max(first[0], second[0]) + 1
    height = min(first[3], second[3]) - max(first[1], second[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    sizes = [(one[2] - one[0] + 1) * (one[3] - one[1] + 1) for one in (first, second)]
    return float(width * height / (sum(sizes) - width * height))


def test_by_hand() -> None:
    """Four objects; right, wrong, right, right: precision 1 until 1/4, then 3/4 until 3/4, then 0."""
    found = [(0, 0.9, BOXES[0]), (0, 0.8, NOWHERE), (0, 0.7, BOXES[1]), (0, 0.6, BOXES[2])]
    judged = [written(objects=[(0, box) for box in BOXES[:4]], found=found)]
    by_points, by_area = voc_precisions(judged, num_classes=1)
    assert by_points[0] == pytest.approx((3 * 1 + 5 * 0.75) / 11)
    assert by_area[0] == pytest.approx(0.25 * 1 + 0.5 * 0.75)


def test_the_devkit_written_out_agrees() -> None:
    judged = [replace(one, is_crowd=np.zeros_like(one.is_crowd)) for one in random_images(30)]
    by_points, by_area = voc_precisions(judged, num_classes=4)
    for label in range(3):
        assert (by_points[label], by_area[label]) == pytest.approx(devkit(judged, label))
        assert by_points[label] > 0.05
    assert np.isnan(by_points[3]) and np.isnan(by_area[3]), "the last class never occurs"


def test_the_area_agrees_with_scikit_learn_where_precision_only_falls() -> None:
    """scikit-learn draws no envelope; without a rise there is none to draw."""
    right = np.array([1, 1, 1, 0, 1, 0, 0], dtype=bool)
    scores = np.linspace(0.9, 0.1, 7)
    steps = np.array([True, True, True, False, False, False, False])
    expected = average_precision_score(steps, scores)
    assert area(np.cumsum(steps), np.arange(1, 8), 3) == pytest.approx(expected)
    assert area(np.cumsum(right), np.arange(1, 8), 4) == pytest.approx(average_precision_score(right, scores))


def test_difficult_objects_are_neither_right_nor_wrong() -> None:
    objects = [(0, BOXES[0]), (0, BOXES[1])]
    found = [(0, 0.9, BOXES[1]), (0, 0.85, BOXES[1]), (0, 0.8, BOXES[0])]
    easy = written(objects=objects, found=found)
    hard = written(objects=objects, found=found, difficult=[1])
    crowd = written(objects=objects, found=found, crowd=[1])
    assert voc_precisions([hard], num_classes=1)[1][0] == 1
    assert voc_precisions([crowd], num_classes=1)[1][0] == 1
    assert voc_precisions([easy], num_classes=1)[1][0] == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_a_class_with_only_difficult_objects_is_left_out() -> None:
    judged = [written(objects=[(0, BOXES[0]), (1, BOXES[1])], found=[(0, 0.9, BOXES[0])], difficult=[1])]
    by_points, _ = voc_precisions(judged, num_classes=2)
    assert by_points[0] == 1
    assert np.isnan(by_points[1])
    assert detection_measures(judged, num_classes=2, with_masks=False)["voc07_map_50"] == 1


def test_a_second_detection_of_an_object_is_wrong_even_if_another_object_is_free() -> None:
    near = (4, 0, 24, 20)
    judged = [written(objects=[(0, BOXES[0]), (0, near)], found=[(0, 0.9, BOXES[0]), (0, 0.8, BOXES[0])])]
    assert voc_precisions(judged, num_classes=1)[1][0] == 0.5


def test_half_is_enough_and_less_is_not() -> None:
    half, less = (0, 0, 10, 20), (0, 0, 9.9, 20)
    for box, expected in ((half, 1.0), (less, 0.0)):
        judged = [written(objects=[(0, BOXES[0])], found=[(0, 0.9, box)])]
        assert voc_precisions(judged, num_classes=1)[1][0] == expected


@pytest.mark.parametrize("tenths", range(11))
def test_a_recall_of_exactly_some_tenths_reaches_its_point(tenths: int) -> None:
    """As fractions, 3 / 10 is less than 3 * 0.1."""
    hits = np.arange(1, tenths + 1)
    assert eleven_points(hits, hits, 10) == pytest.approx((tenths + 1) / 11 if tenths else 0)


def test_mean_of_no_class_is_minus_one() -> None:
    assert mean_of_known(np.array([np.nan, np.nan])) == -1
    assert mean_of_known(np.array([np.nan, 0.5, 0.7])) == pytest.approx(0.6)
