"""Confusion of classes and background: planted cases, and a slow loop."""

from collections.abc import Sequence

import numpy as np
import pytest

from lightning_modules.metrics.detection.confusion import confusion_counts
from lightning_modules.metrics.detection.overlaps import covered, overlaps
from lightning_modules.metrics.detection.records import Judged
from tests.lightning_modules.metrics.detection.images import random_images, written

BOX, NEAR, FAR = (10, 10, 50, 50), (10, 10, 48, 50), (100, 100, 140, 140)
CAT, DOG, NOTHING = 0, 1, 2


def cells(one: Judged, threshold: float = 0.25) -> dict[tuple[int, int], int]:
    """What is not 0, by truth and prediction."""
    counts = confusion_counts([one], num_classes=2, score_threshold=threshold)
    return {(int(row), int(column)): int(counts[row, column]) for row, column in zip(*counts.nonzero())}  # noqa: B905


CASES = {
    "right": ([(CAT, BOX)], [(CAT, 0.9, NEAR)], {(CAT, CAT): 1}),
    "wrong class": ([(CAT, BOX)], [(DOG, 0.9, NEAR)], {(CAT, DOG): 1}),
    "missed": ([(CAT, BOX)], [], {(CAT, NOTHING): 1}),
    "nothing there": ([], [(DOG, 0.9, BOX)], {(NOTHING, DOG): 1}),
    "not sure enough": ([(CAT, BOX)], [(CAT, 0.2, BOX)], {(CAT, NOTHING): 1}),
    "elsewhere": ([(CAT, BOX)], [(CAT, 0.9, FAR)], {(CAT, NOTHING): 1, (NOTHING, CAT): 1}),
    "twice": ([(CAT, BOX)], [(CAT, 0.9, BOX), (CAT, 0.8, NEAR)], {(CAT, CAT): 1, (NOTHING, CAT): 1}),
    "right class first, though another box fits better": (
        [(CAT, BOX)],
        [(DOG, 0.9, BOX), (CAT, 0.5, NEAR)],
        {(CAT, CAT): 1, (NOTHING, DOG): 1},
    ),
}


@pytest.mark.parametrize(("objects", "found", "expected"), CASES.values(), ids=CASES.keys())
def test_planted(objects: Sequence[object], found: Sequence[object], expected: object) -> None:
    assert cells(written(objects=objects, found=found)) == expected  # type: ignore[arg-type]


def test_crowds_and_difficult_objects_do_not_count() -> None:
    found = [(CAT, 0.9, (12, 12, 20, 20)), (DOG, 0.8, (12, 12, 20, 20)), (CAT, 0.9, FAR)]
    crowd = written(objects=[(CAT, BOX)], found=found, crowd=[0])
    assert cells(crowd) == {(NOTHING, DOG): 1, (NOTHING, CAT): 1}, "inside a crowd of cats may be cats"
    difficult = written(objects=[(CAT, BOX)], found=[(CAT, 0.9, NEAR), *found], difficult=[0])
    assert cells(difficult) == {(NOTHING, DOG): 1, (NOTHING, CAT): 2}, "a difficult one is where it is"


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_a_slow_loop_agrees(threshold: float) -> None:
    judged = random_images(25, most=40)
    slow = np.zeros((5, 5), dtype=int)
    for one in judged:
        slow += slow_counts(one, threshold)
    found = confusion_counts(judged, num_classes=4, score_threshold=threshold)
    assert (found == slow).all()
    assert found[:4, :4].sum() > 20
    wanted = sum(int((~one.is_crowd & ~one.is_difficult).sum()) for one in judged)
    assert found[:4].sum() == wanted, "every object is somewhere"


def slow_counts(one: Judged, threshold: float) -> np.ndarray:
    """Take the best pair that is left, until none is."""
    counts = np.zeros((5, 5), dtype=int)
    free = {i for i in range(len(one.true_labels)) if not one.is_crowd[i] and not one.is_difficult[i]}
    sure = {j for j in range(len(one.labels)) if one.scores[j] >= np.float32(threshold)}
    shared = overlaps(one.true_boxes, one.boxes)
    inside = covered(one.boxes, one.true_boxes)
    while True:
        pairs = [
            (one.true_labels[i] == one.labels[j], shared[i, j], one.scores[j], -i, -j)
            for i in free
            for j in sure
            if shared[i, j] >= 0.5
        ]
        if not pairs:
            break
        *_, row, column = max(pairs)
        counts[one.true_labels[-row], one.labels[-column]] += 1
        free.remove(-row)
        sure.remove(-column)
    for i in free:
        counts[one.true_labels[i], 4] += 1
    for j in sure:
        same = one.true_labels == one.labels[j]
        difficult = (same & one.is_difficult & (shared[:, j] >= 0.5)).any()
        crowd = (same & one.is_crowd & (inside[j] >= 0.5)).any()
        counts[4, one.labels[j]] += not (difficult or crowd)
    return counts
