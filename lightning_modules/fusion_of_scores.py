"""Scores of classes, for images or pixels, that several networks or views gave: one of all."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

Fusion = Literal["mean_probability", "mean_logit", "majority"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)

TIE_BREAKER = 0.01
"""Share of the mean probability beside the votes: it decides between equally many, and makes no class
impossible."""

ENOUGH = 1e-12
"""Change of every weight after which fitting ends."""


def fused_scores(answers: Iterable[Tensor], *, weights: Sequence[float], fusion: str) -> Tensor:
    """Scores whose softmax are the probabilities of all together.

    Lakshminarayanan, Pritzel, Blundell: Simple and scalable predictive uncertainty estimation using deep
    ensembles, 2017 (https://arxiv.org/abs/1612.01474), section 2.4, for the mean probability.

    Args:
        answers: Scores (B, C, ...) of each, whose softmax are its probabilities.
        weights: Of each; they sum to 1.
        fusion: ``mean_probability``; ``mean_logit``, the geometric mean of the probabilities; ``majority``,
            the share of votes for each class, ties broken by the mean probability (see ``TIE_BREAKER``).
    """
    if fusion == "mean_logit":
        return _sum(answers, weights)
    if fusion == "majority":
        return log_of(_sum((_votes(scores) for scores in answers), weights))
    return _log_of_mean(answers, weights)


def log_of(probabilities: Tensor) -> Tensor:
    """Logarithms, in place, of probabilities that may be 0: finite, since losses add them up."""
    return probabilities.clamp_min_(torch.finfo(probabilities.dtype).tiny).log_()


def fitted_weights(probabilities: Sequence[Tensor]) -> list[float]:
    """Weights of a mean of probabilities with which the true classes are most probable.

    The negative log-likelihood is convex in the weights; expectation maximisation for the shares of a mixture
    (Dempster, Laird, Rubin, 1977, section 4.3) lessens it in every step and never leaves the simplex.

    Args:
        probabilities: Of each member (N,), that of the true class of each image.

    Returns:
        At least 0 each; they sum to 1.
    """
    each = torch.stack(list(probabilities)).double().clamp_min(torch.finfo(torch.float64).tiny)
    weights = torch.full((len(each),), 1 / len(each), dtype=torch.float64)
    for _ in range(10_000):
        before = weights
        parts = weights[:, None] * each
        weights = (parts / parts.sum(dim=0)).mean(dim=1)
        if float((weights - before).abs().max()) < ENOUGH:
            break
    return [float(weight) for weight in weights / weights.sum()]


def _log_of_mean(answers: Iterable[Tensor], weights: Sequence[float]) -> Tensor:
    """Logarithm of the mean probability, without a probability that is rounded to 0 on the way."""
    total: Tensor | None = None
    for scores, weight in zip(answers, weights, strict=True):
        if weight > 0:
            part = scores.float().log_softmax(dim=1).add_(math.log(weight))
            total = part if total is None else torch.logaddexp(total, part)
    assert total is not None
    return total


def _votes(scores: Tensor) -> Tensor:
    votes = functional.one_hot(scores.argmax(dim=1), scores.shape[1]).movedim(-1, 1)
    return (1 - TIE_BREAKER) * votes + TIE_BREAKER * scores.float().softmax(dim=1)


def _sum(values: Iterable[Tensor], weights: Sequence[float]) -> Tensor:
    """Weighted sum of values that are made one by one, so that two of them are in memory and no more."""
    total: Tensor | None = None
    for value, weight in zip(values, weights, strict=True):
        total = weight * value.float() if total is None else total.add_(value, alpha=weight)
    assert total is not None
    return total
