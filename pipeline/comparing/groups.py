"""Runs that differ in nothing but chance: one row, with the spread of its measures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pipeline.comparing.differing import FOLD, SEEDS, is_bookkeeping
from pipeline.comparing.listed import KIND, Listed

_FOLDS = "data.num_folds"


@dataclass(frozen=True, kw_only=True)
class Group:
    """A row of the leaderboard.

    Attributes:
        runs: One, or several that differ in the seed or the fold only, the oldest first.
    """

    runs: Sequence[Listed]

    @property
    def first(self) -> Listed:
        """A run that speaks for the configuration of all."""
        return self.runs[0]

    def values(self, name: str) -> list[float]:
        """A measure or cost of each run that has it."""
        return [value for value in (listed.value(name) for listed in self.runs) if math.isfinite(value)]

    def mean(self, name: str) -> float:
        """Over its runs; nan where none has it."""
        values = self.values(name)
        return fmean(values) if values else math.nan

    def deviation(self, name: str) -> float:
        """The sample's standard deviation over its runs; nan with fewer than two."""
        values = self.values(name)
        return stdev(values) if len(values) > 1 else math.nan

    @property
    def over(self) -> str:
        """Over what its measures spread: `3 seeds`, `5 folds`; empty for a single run."""
        counts = {
            word: len({listed.values.get(key, "") for listed in self.runs})
            for word, key in (("seeds", SEEDS[0]), ("folds", FOLD))
        }
        return " × ".join(f"{count} {word}" for word, count in counts.items() if count > 1)

    @property
    def name(self) -> str:
        """The beginning of its id, and how many more runs there are."""
        return self.first.name + (f" +{len(self.runs) - 1}" if len(self.runs) > 1 else "")

    def best(self, mode: str) -> Listed:
        """The run that would be taken: the best by what its training watched."""
        sign = 1.0 if mode == "max" else -1.0

        def rank(listed: Listed) -> float:
            value = sign * listed.value(listed.monitor)
            return value if math.isfinite(value) else -math.inf

        return max(self.runs, key=rank)


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """Runs as rows.

    Attributes:
        groups: In the order of their first runs.
        repeated: How many runs are left out, because a later one is of the same configuration and seed.
    """

    groups: Sequence[Group]
    repeated: int


def grouped(runs: Sequence[Listed]) -> Grouping:
    """Put those together that differ in the seed or the fold only.

    Args:
        runs: The oldest first.
    """
    found: dict[tuple[object, ...], dict[tuple[str, ...], Listed]] = {}
    for listed in runs:
        chance = tuple(listed.values.get(key, "") for key in (SEEDS[0], FOLD))
        found.setdefault(_configuration(listed), {})[chance] = listed
    groups = [Group(runs=list(alike.values())) for alike in found.values()]
    return Grouping(groups=groups, repeated=len(runs) - sum(len(group.runs) for group in groups))


def alone(runs: Sequence[Listed]) -> Grouping:
    """Each run as a row of its own."""
    return Grouping(groups=[Group(runs=[listed]) for listed in runs], repeated=0)


def _configuration(listed: Listed) -> tuple[object, ...]:
    if listed.values[KIND] != "trained":
        return (listed.run.run_id,)  # made of other runs: no two are repetitions of each other
    chance = {*SEEDS, FOLD} if listed.values.get(_FOLDS, "null") != "null" else set(SEEDS)
    rest = (item for item in listed.values.items() if item[0] not in chance and not is_bookkeeping(item[0]))
    return tuple(sorted(rest))
