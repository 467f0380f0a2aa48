"""Shapes of anchor boxes that fit the objects of a data set."""

import numpy as np
import numpy.typing as npt

MOST_BOXES = 20_000
"""Of more boxes than this, as many are drawn at random: a shape hardly moves any more."""

_MOST_STEPS = 300
_CANDIDATES = 8
_SEED = 0

Shapes = npt.NDArray[np.float64]


def kmeans_anchors(shapes: Shapes, *, count: int) -> list[list[float]]:
    """Cluster widths and heights by k-means with the distance 1 - IoU of boxes on a common centre.

    YOLOv2's choice of anchors (https://arxiv.org/abs/1612.08242, section 2): Euclidean distance would let
    large boxes count for more. A cluster's shape is the median of its members, which fits closer than
    the mean. Clusters are added one by one: of a few boxes drawn by their squared distance (as in
    k-means++), the one that helps most starts the next, and all are refined. One more anchor therefore
    never fits worse. Nothing depends on a run's seed.

    Args:
        shapes: (N, 2) widths and heights in pixels; those that are empty are left out, and of more than
            20,000 as many are drawn.
        count: Number of clusters, at least 1.

    Returns:
        ``count`` pairs of width and height, from the smallest area to the largest.

    Raises:
        ValueError: If there are fewer different shapes than clusters.
    """
    generator = np.random.default_rng(_SEED)
    boxes = shapes[(shapes > 0).all(axis=1)]
    if len(boxes) > MOST_BOXES:
        boxes = boxes[generator.choice(len(boxes), MOST_BOXES, replace=False)]
    num_different = len(np.unique(boxes, axis=0))
    if count < 1 or num_different < count:
        raise ValueError(
            f"model.num_anchors={count} must be at least 1 and at most {num_different}, which is how many "
            "different shapes of boxes the training split has"
        )
    centres = _refined(boxes, boxes[generator.integers(len(boxes), size=1)])
    while len(centres) < count:
        centres = _refined(boxes, _with_another(boxes, centres, generator))
    return [[float(width), float(height)] for width, height in centres[np.argsort(centres.prod(axis=1))]]


def mean_overlap(shapes: Shapes, anchors: Shapes) -> float:
    """Mean over all boxes of the IoU with the anchor that fits best, both on a common centre.

    Args:
        shapes: (N, 2) widths and heights.
        anchors: (K, 2) widths and heights.
    """
    return float(_overlaps(shapes, anchors).max(axis=1).mean())


def _overlaps(shapes: Shapes, anchors: Shapes) -> Shapes:
    """IoU (N, K) of boxes that share their centre."""
    shared = np.minimum(shapes[:, None], anchors[None]).prod(axis=2)
    return np.asarray(shared / (shapes.prod(axis=1)[:, None] + anchors.prod(axis=1)[None] - shared))


def _with_another(boxes: Shapes, centres: Shapes, generator: np.random.Generator) -> Shapes:
    """The centres and one more, at a box that they fit badly."""
    weights = np.square(1 - _overlaps(boxes, centres).max(axis=1))
    drawn = generator.choice(len(boxes), size=_CANDIDATES, p=weights / weights.sum())
    candidates = [np.concatenate([centres, boxes[[position]]]) for position in drawn]
    return max(candidates, key=lambda candidate: mean_overlap(boxes, candidate))


def _refined(boxes: Shapes, centres: Shapes) -> Shapes:
    """Move every centre to the median of its members for as long as the boxes fit better.

    The median need not minimise this distance, so a step may make things worse: the last centres stay.
    """
    best = mean_overlap(boxes, centres)
    for _ in range(_MOST_STEPS):
        members = _overlaps(boxes, centres).argmax(axis=1)
        moved = centres.copy()
        for k in np.unique(members):
            moved[k] = np.median(boxes[members == k], axis=0)
        found = mean_overlap(boxes, moved)
        if found <= best:
            break
        centres, best = moved, found
    return centres
