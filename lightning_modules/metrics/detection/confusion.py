"""Which class was taken for which, and what was found where nothing is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.detection.matching import LEAST_IOU, ignored_overlap
from lightning_modules.metrics.detection.overlaps import overlaps
from lightning_modules.metrics.detection.records import Judged

Integers = NDArray[np.int64]


def confusion_counts(judged: Sequence[Judged], *, num_classes: int, score_threshold: float) -> Integers:
    """Numbers of pairs of an object and a detection by their classes, with the background as class C.

    In each image, objects and detections at IoU 0.5 or above become pairs, each in one pair only: those
    of the same class first, then the others, each by IoU and then by score. So an object that was found
    rightly never counts as confused because of a second box around it. What is left over is paired
    with the background. Crowds and difficult objects are left out with the detections that meet them.

    Args:
        judged: Images, each once.
        num_classes: C.
        score_threshold: Detections with a lower score do not count, in [0, 1].

    Returns:
        (C + 1, C + 1), truth by row and prediction by column. The last row has detections where nothing
        is, the last column objects that nobody found; the last cell of both is 0.
    """
    side = num_classes + 1
    cells = np.zeros(side * side, dtype=np.int64)
    for one in judged:
        truth, prediction = _pairs_of_classes(one, background=num_classes, score_threshold=score_threshold)
        cells += np.bincount(truth * side + prediction, minlength=side * side)
    return cells.reshape(side, side)


def _pairs_of_classes(one: Judged, *, background: int, score_threshold: float) -> tuple[Integers, Integers]:
    wanted = np.flatnonzero(~one.is_crowd & ~one.is_difficult)
    sure = np.flatnonzero(one.scores >= np.float32(score_threshold))
    rows, columns = paired(one, wanted, sure)
    missed = np.setdiff1d(wanted, rows)
    stray = np.setdiff1d(sure[~ignored_overlap(one)[sure]], columns)
    truth = np.concatenate([one.true_labels[rows], one.true_labels[missed], np.full(len(stray), background)])
    said = np.concatenate([one.labels[columns], np.full(len(missed), background), one.labels[stray]])
    return truth, said


def paired(one: Judged, wanted: Integers, sure: Integers) -> tuple[Integers, Integers]:
    """Pairs of an object and a detection, each in one pair at most.

    Args:
        one: An image.
        wanted: Objects that may be in a pair, by position.
        sure: Detections that may be in a pair, by position.

    Returns:
        (P,) objects and (P,) detections, by position.
    """
    shared = overlaps(one.true_boxes[wanted], one.boxes[sure])
    rows, columns = np.nonzero(shared >= LEAST_IOU)
    same = one.true_labels[wanted[rows]] == one.labels[sure[columns]]
    order = np.lexsort((-one.scores[sure[columns]], -shared[rows, columns], ~same))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return wanted[list(pairs)], sure[list(pairs.values())]
