"""Embeddings that several networks or views gave: one whose distances are the mean of all."""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

Compare = Callable[[Tensor, Tensor], Tensor]


def fused_embeddings(
    answers: Iterable[Tensor], *, weights: Sequence[float], units: Sequence[float]
) -> Tensor:
    """Embeddings (B, D1 + D2 + ...) side by side, each scaled by its unit and the root of its weight.

    The squared Euclidean distance of two of them is the weighted mean of the squared distances of the parts:
    galleries and nearest neighbours need not know that there are several networks. Embeddings of length 1
    have length 1 together.

    Args:
        answers: (B, D) each, of any D.
        weights: Of each; they sum to 1.
        units: Of each, see ``common_scale``; 1 for embeddings of length 1.
    """
    parts = [
        unit * math.sqrt(weight) * part for part, weight, unit in zip(answers, weights, units, strict=True)
    ]
    return torch.cat(parts, dim=1)


def mean_distance(
    compare: Sequence[Compare], a: Tensor, b: Tensor, *, sizes: Sequence[int], weights: Sequence[float]
) -> Tensor:
    """Weighted mean of the distances that several networks have learnt, each for its part of the embeddings.

    Args:
        compare: Of each network, the distances of embeddings of its own size.
        a: (N, D), parts side by side.
        b: (M, D).
        sizes: Of each part; they sum to D.
        weights: Of each; they sum to 1.

    Returns:
        What each of ``compare`` returns.
    """
    parts = zip(torch.split(a, list(sizes), dim=1), torch.split(b, list(sizes), dim=1), strict=True)
    each = [weight * distance(*part) for distance, part, weight in zip(compare, parts, weights, strict=True)]
    return torch.stack(each).sum(dim=0)


def common_scale(thresholds: Tensor) -> Tensor:
    """Factors of embeddings whose length is free, after which one distance means the same to all networks.

    The distance up to which a network takes two images for the same is its own unit: after scaling, that of
    all networks is the mean of theirs.

    Args:
        thresholds: (M,) of each network, as its validation calibrated it; nan where there was none.
    """
    return thresholds.mean() / thresholds


def known_scale(units: Tensor) -> list[float]:
    """The factors (M,) of ``common_scale``.

    Raises:
        ValueError: If they are not known.
    """
    found: list[float] = units.tolist()
    if not all(math.isfinite(unit) and unit > 0 for unit in found):
        raise ValueError(
            "embeddings whose length is free are compared in units of each member's threshold, and one of "
            "them is 0 or was never calibrated; take checkpoints of after a validation, or models with "
            "normalise=true"
        )
    return found
