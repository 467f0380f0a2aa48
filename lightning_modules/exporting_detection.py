"""Detections compared: the same objects, in whatever order."""

from collections.abc import Sequence

import torch
from torch import Tensor

_AT_THE_EDGE = 1e-3
"""A score so near to the lowest that is answered may be there or not, as it is rounded."""


def detections_apart(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Largest difference of an object from the nearest of the same class, both ways.

    Objects with equal scores may come in another order, so they are not compared place by place. Boxes are
    compared as shares of the farthest coordinate, scores as they are, masks by the share of pixels.

    Args:
        found: Boxes (N, 4), scores (N,), labels (N,) and perhaps masks (N, H, W).
        expected: The same for M objects.

    Returns:
        Infinity where an object has none of its class on the other side, unless its score is the lowest.
    """
    return max(_farthest(found, expected), _farthest(expected, found))


def _farthest(these: Sequence[Tensor], those: Sequence[Tensor]) -> float:
    if not len(these[0]):
        return 0.0
    apart = _apart(these, those)
    nearest = apart.min(dim=1).values if len(those[0]) else torch.full((len(these[0]),), torch.inf)
    every = torch.cat([these[1], those[1]])
    is_certain = these[1] > every.min() + _AT_THE_EDGE
    # Where all are that close nothing is certain, and all of them count.
    return float(nearest[is_certain if bool(is_certain.any()) else slice(None)].max())


def _apart(these: Sequence[Tensor], those: Sequence[Tensor]) -> Tensor:
    """(N, M), infinite between classes."""
    reach = max(float(these[0].abs().max()), 1.0)
    parts = [torch.cdist(these[0].double(), those[0].double(), p=torch.inf) / reach]
    parts.append((these[1].double()[:, None] - those[1].double()).abs())
    if len(these) > 3:
        pixels = max(1, these[3][0].numel())
        parts.append(torch.cdist(these[3].flatten(1).double(), those[3].flatten(1).double(), p=1) / pixels)
    apart = torch.stack(parts).amax(dim=0)
    return apart.masked_fill(these[2][:, None] != those[2], torch.inf)
