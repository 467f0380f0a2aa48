"""How well the contours of regions are drawn."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

TOLERANCE = 0.0075
"""Share of a picture's diagonal by which a contour may be off."""

Labels = NDArray[np.uint8]
Points = NDArray[np.intp]


def boundary_f1(truth: Labels, predicted: Labels, *, num_classes: int, ignored: int) -> NDArray[np.float64]:
    """F1 of the contours of each class in one picture (Csurka et al., BMVC 2013, section 3.2).

    A pixel lies on the contour of its class where one of its four neighbours in the picture has another;
    the frame of a picture is no contour. Precision is the share of the predicted contour that is at most
    0.75 % of the diagonal, and at least one pixel, away from the true one; recall the reverse. Ignored
    pixels are cut out of both sides first, so whatever is predicted there changes nothing.

    Args:
        truth: (H, W) class ids, or ``ignored``.
        predicted: (H, W) class ids.
        num_classes: C.
        ignored: Value of pixels that do not count.

    Returns:
        (C,) in [0, 1]. 0 for a class with a contour on one side only, so that what is missed and what is
        made up both count; nan for one without any contour.
    """
    tolerance = max(1.0, TOLERANCE * math.hypot(*truth.shape))
    cut = np.where(truth == ignored, truth, predicted)
    sides = [_contours(labels, num_classes=num_classes, ignored=ignored) for labels in (truth, cut)]
    return np.array([_f1(mine, theirs, tolerance=tolerance) for mine, theirs in zip(*sides, strict=True)])


def _contours(labels: Labels, *, num_classes: int, ignored: int) -> list[Points]:
    """(N, 2) rows and columns of the contour of each class."""
    edge = np.zeros(labels.shape, dtype=bool)
    across, along = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= across
    edge[:-1] |= across
    edge[:, 1:] |= along
    edge[:, :-1] |= along
    edge &= labels != ignored
    classes = labels[edge]
    order = np.argsort(classes, kind="stable")
    ends = np.searchsorted(classes[order], np.arange(1, num_classes))
    return list(np.split(np.argwhere(edge)[order], ends))


def _f1(true: Points, predicted: Points, *, tolerance: float) -> float:
    if not len(true) and not len(predicted):
        return math.nan
    if not len(true) or not len(predicted):
        return 0.0
    recall, precision = _share_near(true, predicted, tolerance), _share_near(predicted, true, tolerance)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _share_near(points: Points, others: Points, tolerance: float) -> float:
    """Share of points with one of the others at most that far away."""
    tree = KDTree(others, balanced_tree=False, compact_nodes=False)
    distances, _ = tree.query(points, distance_upper_bound=tolerance + 0.5)
    return float(np.mean(distances <= tolerance))
