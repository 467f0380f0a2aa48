"""Random search: every trial is drawn by itself, in the same order each time, without any service."""

import math
from collections.abc import Iterator, Sequence
from random import Random

from pipeline.sweeps.jobs import Result, Trial
from pipeline.sweeps.spaces import Dimension, drawn


class RandomSearch:
    """Draws trials from a space; no choice comes twice.

    Args:
        space: What is searched.
        n_trials: How many trials; fewer where the space has fewer choices.
        seed: Where it starts; the same number gives the same trials, so that a sweep can go on.
    """

    def __init__(self, *, space: Sequence[Dimension], n_trials: int, seed: int) -> None:
        self._space = list(space)
        self._total = min(n_trials, size_of(space) or n_trials)
        self._trials = self._draw(Random(seed))

    @property
    def total(self) -> int | None:
        """How many trials there will be."""
        return self._total

    def next(self) -> Trial | None:
        """The next choice; None where there is no more."""
        return next(self._trials, None)

    def told(self, result: Result) -> None:
        """Nothing is learnt from a trial."""

    def _draw(self, generator: Random) -> Iterator[Trial]:
        seen: set[tuple[str, ...]] = set()
        while len(seen) < self._total:
            words = tuple(one.override(drawn(one.values, generator)) for one in self._space)
            if words not in seen:
                yield Trial(number=len(seen), overrides=words)
                seen.add(words)


def size_of(space: Sequence[Dimension]) -> int | None:
    """How many choices a space has; None where they are not counted."""
    sizes = [one.size for one in space]
    return None if None in sizes else math.prod(size for size in sizes if size is not None)
