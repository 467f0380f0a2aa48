"""What joining networks is worth, with the range in which chance leaves it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rich.progress import track

from pipeline.bootstrap import Floats, Interval, Measure, interval, resampled, samples
from pipeline.console import console
from pipeline.work.ensemble_members import Measured

DRAWS = 1000
DRAWS_OF_AVERAGE_PRECISION = 200  # each counts the average precision anew, which takes up to a second


@dataclass(frozen=True, kw_only=True)
class Gain:
    """An ensemble beside its members, by one measure of the test split; above 0 it is better.

    Attributes:
        name: Of the measure, without the stage.
        best: Number of the member that is best on validation: what would be taken without an ensemble.
        over_mean: Over the mean of the members.
        over_best: Over that one.
        draws: Bootstrap samples behind the intervals; 0 where there are none.
    """

    name: str
    best: int
    over_mean: Interval
    over_best: Interval
    draws: int

    @property
    def measures(self) -> dict[str, float]:
        """Plain numbers for metrics.json."""
        both = {"mean_member": self.over_mean, "best_member": self.over_best}
        return {
            f"gain/{over}{end}": value
            for over, found in both.items()
            for end, value in (("", found.value), ("_low", found.low), ("_high", found.high))
        }


def gain(
    members: Sequence[Measured],
    ensemble: Measured,
    *,
    monitor: str,
    mode: str,
    draws: int | None,
    seed: int,
) -> Gain:
    """Compare an ensemble with its members on the same samples of the test images.

    Args:
        members: Measured by themselves.
        ensemble: All of them together.
        monitor: The measure that training watched, such as `val/top1`; compared is that of test.
        mode: `max` or `min`.
        draws: Bootstrap samples; None: a usual number.
        seed: Where the draws start.
    """
    name = monitor.partition("/")[2]
    sign = 1.0 if mode == "max" else -1.0
    records = [each.test for each in (ensemble, *members)]
    assert all(np.array_equal(each.index, records[0].index) for each in records), "measured on other images"
    best = int(np.nanargmax([sign * each.measures.get(monitor, np.nan) for each in members]))
    whole = np.array([each.measures[f"test/{name}"] for each in (ensemble, *members)])
    count = _draws(records[0], name=name, wanted=draws)
    values = _resampled(records, name=name, draws=count, seed=seed)
    over_mean = _difference(lambda table: table[:, 1:].mean(axis=1), whole=whole, values=values, sign=sign)
    over_best = _difference(lambda table: table[:, 1 + best], whole=whole, values=values, sign=sign)
    return Gain(name=name, best=best, over_mean=over_mean, over_best=over_best, draws=count)


def _draws(records: Any, *, name: str, wanted: int | None) -> int:
    """None for a single image, or for a measure that is not made of images: there is nothing to draw from."""
    if len(records) < 2 or name not in records.names:
        return 0
    is_slow = any(word in name for word in ("map", "mar"))
    usual = DRAWS_OF_AVERAGE_PRECISION if is_slow else DRAWS
    return usual if wanted is None else wanted


def _resampled(records: Sequence[Any], *, name: str, draws: int, seed: int) -> Floats:
    measures: list[Measure] = [partial(_measure, each, name) for each in records]
    places = samples(images=len(records[0]), draws=draws, seed=seed)
    shown = track(places, "intervals", total=draws, console=console, transient=True)
    return resampled(measures, shown if draws else [])


def _measure(records: Any, name: str, places: Any) -> float:
    return float(records.measure(places, name))


def _difference(
    others: Callable[[Floats], Floats], *, whole: Floats, values: Floats, sign: float
) -> Interval:
    value = float(sign * (whole[0] - others(whole[None])[0]))
    return interval(value, sign * (values[:, 0] - others(values)))
