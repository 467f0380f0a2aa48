"""How well the contours of regions are drawn."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree

TOLERANCE = 0.0075
"""Share of a picture's diagonal by which a contour may be off."""

Labels = NDArray[np.uint8]
Points = NDArray[np.intp]


@dataclass(frozen=True)
class Contour:
    """The contour of a class.

    Attributes:
        points: (N, 2) rows and columns.
        is_certain: (N,) whether a neighbour of another class is, like the point, no ignored pixel.
        slack: (N,) pixels to the nearest pixel that counts, 0 for one that counts itself.
    """

    points: Points
    is_certain: NDArray[np.bool_]
    slack: NDArray[np.float64]


def boundary_f1(truth: Labels, predicted: Labels, *, num_classes: int, ignored: int) -> NDArray[np.float64]:
    """F1 of the contours of each class in one picture (Csurka et al., BMVC 2013, section 3.2).

    A pixel lies on the contour of its class where one of its four neighbours in the picture has another;
    the frame of a picture is no contour. Precision is the share of the predicted contour that is at most
    0.75 % of the diagonal, and at least one pixel, away from the true one; recall the reverse.

    An edge to an ignored pixel is no contour by itself. Ignored pixels of the truth take the class of the
    nearest one that counts, so that the true contour between two regions runs through the middle of the
    ignored pixels between them; there it may be off by its distance to the nearest pixel that counts, in
    addition, since it could be anywhere as well. What is predicted is left as it is, but a contour that only
    an ignored pixel makes is never wrong: it counts for recall, and for precision only where it is within
    the plain tolerance. So a picture that is right wherever it counts scores 1.

    Args:
        truth: (H, W) class ids, or ``ignored``.
        predicted: (H, W) class ids.
        num_classes: C.
        ignored: Value of pixels that do not count.

    Returns:
        (C,) in [0, 1]. 0 for a class with a contour on one side only, so that what is missed and what is
        made up both count; nan for one without any contour.
    """
    counted = truth != ignored
    if not counted.any():
        return np.full(num_classes, math.nan)
    tolerance = max(1.0, TOLERANCE * math.hypot(*truth.shape))
    filled, slack = _filled(truth, counted)
    sides = [_contours(labels, counted, slack, num_classes=num_classes) for labels in (filled, predicted)]
    return np.array([_f1(mine, theirs, tolerance=tolerance) for mine, theirs in zip(*sides, strict=True)])


def _filled(truth: Labels, counted: NDArray[np.bool_]) -> tuple[Labels, NDArray[np.float64]]:
    """The truth with the class of the nearest counted pixel everywhere, and the distance to that pixel."""
    if counted.all():
        return truth, np.zeros(truth.shape)
    distances, (rows, columns) = distance_transform_edt(~counted, return_indices=True)
    return truth[rows, columns], np.asarray(distances)


def _contours(
    labels: Labels, counted: NDArray[np.bool_], slack: NDArray[np.float64], *, num_classes: int
) -> list[Contour]:
    """The contour of each class."""
    across, along = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge = _beside(across, along)
    certain = _beside(across & counted[1:] & counted[:-1], along & counted[:, 1:] & counted[:, :-1])
    classes = labels[edge]
    order = np.argsort(classes, kind="stable")
    ends = np.searchsorted(classes[order], np.arange(1, num_classes))
    columns = (np.argwhere(edge), certain[edge], slack[edge])
    return [
        Contour(*each) for each in zip(*(np.split(column[order], ends) for column in columns), strict=True)
    ]


def _beside(across: NDArray[np.bool_], along: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) whether a pixel is at an edge, of those (H - 1, W) and (H, W - 1) between neighbours."""
    beside = np.zeros((along.shape[0], across.shape[1]), dtype=bool)
    beside[1:] |= across
    beside[:-1] |= across
    beside[:, 1:] |= along
    beside[:, :-1] |= along
    return beside


def _f1(true: Contour, predicted: Contour, *, tolerance: float) -> float:
    if not len(true.points):
        return 0.0 if predicted.is_certain.any() else math.nan
    if not len(predicted.points):
        return 0.0
    recall = float(np.mean(_found(true, predicted.points, tolerance)))
    is_right = _right(predicted, true, tolerance)
    judged = is_right[is_right | predicted.is_certain]
    precision = float(np.mean(judged)) if len(judged) else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _found(true: Contour, points: Points, tolerance: float) -> NDArray[np.bool_]:
    """Which points of the true contour have one of the others within the tolerance and their slack."""
    tree = _tree(points)
    found = np.empty(len(true.points), dtype=bool)
    # Apart, since a search is the slower the further it reaches.
    for which in (true.slack == 0, true.slack > 0):
        if which.any():
            found[which] = _is_near(true.points[which], tree, tolerance + true.slack[which])
    return found


def _right(predicted: Contour, true: Contour, tolerance: float) -> NDArray[np.bool_]:
    """Which predicted points are near the true contour, with its slack for those that are certain."""
    right = _is_near(predicted.points, _tree(true.points), np.full(len(predicted.points), tolerance))
    loose, (rest,) = true.slack > 0, np.nonzero(predicted.is_certain & ~right)
    if loose.any() and len(rest):
        discs = _tree(predicted.points[rest]).query_ball_point(
            true.points[loose], tolerance + true.slack[loose]
        )
        right[rest[[place for disc in discs for place in disc]]] = True
    return right


def _is_near(points: Points, tree: KDTree, tolerances: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points have one of the tree's at most as far away as their tolerance."""
    distances, _ = tree.query(points, distance_upper_bound=tolerances.max() + 0.5)
    return np.asarray(distances <= tolerances)


def _tree(points: Points) -> KDTree:
    return KDTree(points, balanced_tree=False, compact_nodes=False)
