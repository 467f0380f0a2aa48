"""Grid search: every combination of values, in Hydra's own order."""

from collections.abc import Iterator, Sequence
from itertools import islice, product
from math import prod
from typing import TYPE_CHECKING

from pipeline.sweeps.jobs import Result, Trial
from pipeline.sweeps.words import values_of

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


class GridSearch:
    """Takes every combination; the last key changes fastest.

    Args:
        space: Words with several values, as Hydra has read them.
        n_trials: Take only so many of the first ones; None takes all.

    Raises:
        Mistake: An interval, which has no end of values.
    """

    def __init__(self, *, space: "Sequence[Override]", n_trials: int | None = None) -> None:
        self._values = [values_of(override) for override in space]
        self._n_trials = n_trials
        self._waiting = enumerate(self._combinations())

    def _combinations(self) -> Iterator[tuple[str, ...]]:
        return islice(product(*self._values), self._n_trials)

    @property
    def all_trials(self) -> list[Trial]:
        """Every trial that there will be."""
        return [
            Trial(number=number, overrides=overrides) for number, overrides in enumerate(self._combinations())
        ]

    @property
    def total(self) -> int | None:
        """How many trials there will be."""
        count = prod(len(values) for values in self._values)
        return count if self._n_trials is None else min(count, self._n_trials)

    def next(self) -> Trial | None:
        """The next combination; None where there is no more."""
        found = next(self._waiting, None)
        return None if found is None else Trial(number=found[0], overrides=found[1])

    def told(self, result: Result) -> None:
        """Nothing is learnt from a trial."""
