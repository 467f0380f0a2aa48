"""How far a measure, or the difference of two, may be due to the images that happened to be in the split."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Measure = Callable[[Places], float]

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number with the range in which it lies.

    Attributes:
        value: Of the images as they are.
        low: Lower end of the 95 % interval; nan where there is none.
        high: Its upper end.
    """

    value: float
    low: float
    high: float


def samples(*, images: int, draws: int, seed: int) -> Iterable[Places]:
    """Bootstrap samples: as many images as there are, drawn with replacement.

    Efron, Tibshirani: An introduction to the bootstrap, 1993, chapter 6.

    Args:
        images: N.
        draws: How many samples.
        seed: Where the draws start.

    Yields:
        int64 (N,), each in [0, N).
    """
    generator = np.random.default_rng(seed)
    for _ in range(draws):
        yield generator.integers(0, images, size=images)


def resampled(measures: Sequence[Measure], places: Iterable[Places]) -> Floats:
    """Several measures of the same samples, so that their differences are paired.

    Args:
        measures: M functions of a choice of images.
        places: S samples.

    Returns:
        (S, M).
    """
    rows = [[measure(sample) for measure in measures] for sample in places]
    return np.asarray(rows, dtype=np.float64).reshape(len(rows), len(measures))


def interval(value: float, resampled: Floats) -> Interval:
    """The percentile interval around a value.

    Efron, Tibshirani, chapter 13. Samples in which a measure is not defined, as the AUC of a single class,
    are left out.

    Args:
        value: Of the images as they are.
        resampled: (S,), of each sample.
    """
    known = resampled[np.isfinite(resampled)]
    if known.size < 2:
        return Interval(value=value, low=np.nan, high=np.nan)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(known, [tail, 100 - tail])
    return Interval(value=value, low=float(low), high=float(high))
