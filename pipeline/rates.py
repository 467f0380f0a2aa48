"""What a range test says: from rates and losses to a suggestion."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_SKIPPED = 0.1  # share of the steps at the start, where the mean of the losses has not settled


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """Learning rates that a range test speaks for.

    Attributes:
        steepest: Where the loss falls fastest, per factor of the rate.
        lowest: Where it is lowest, the edge of what still learns.
        tenth: A tenth of that, a usual choice.
    """

    steepest: float
    lowest: float
    tenth: float


def suggest(rates: Sequence[float], losses: Sequence[float]) -> Suggestion | None:
    """Read a range test.

    Args:
        rates: Of each step, rising by the same factor.
        losses: Smoothed, one for each rate.

    Returns:
        The suggestion; None where the loss fell nowhere, or there are too few steps to tell.
    """
    known = [place for place, loss in enumerate(losses) if math.isfinite(loss)]
    first = round(_SKIPPED * len(losses))
    chosen = np.array(losses, dtype=np.float64)[: known[-1] + 1 if known else 0][first:]
    if len(chosen) < 3:
        return None
    lowest = int(chosen.argmin())
    slopes = np.gradient(chosen)[: lowest + 1]
    steepest = int(slopes.argmin())
    if lowest == 0 or slopes[steepest] >= 0:
        return None
    at_lowest = float(rates[first + lowest])
    return Suggestion(steepest=float(rates[first + steepest]), lowest=at_lowest, tenth=at_lowest / 10)
