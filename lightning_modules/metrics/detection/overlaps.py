"""How much boxes have in common."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def overlaps(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> Floats:
    """(N, M) IoU of every pair, in [0, 1].

    Args:
        boxes: (N, 4), x1 y1 x2 y2, ends exclusive.
        others: (M, 4), as ``boxes``.
    """
    common = intersections(boxes, others)
    union = areas(boxes)[:, None] + areas(others) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def covered(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> Floats:
    """(N, M) share of each box's own area that lies inside each other one: COCO's overlap with a crowd.

    Args:
        boxes: (N, 4), x1 y1 x2 y2, ends exclusive.
        others: (M, 4), as ``boxes``.
    """
    common, own = intersections(boxes, others), areas(boxes)[:, None]
    return np.divide(common, own, out=np.zeros_like(common), where=own > 0)


def intersections(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> Floats:
    """(N, M) areas in pixels that two boxes share."""
    first, second = boxes.astype(np.float64)[:, None], others.astype(np.float64)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    return np.asarray(sides.clip(min=0).prod(axis=-1))


def areas(boxes: NDArray[np.float32]) -> Floats:
    """(N,) areas in pixels."""
    corners = boxes.astype(np.float64)
    return np.asarray((corners[:, 2:] - corners[:, :2]).prod(axis=1))
