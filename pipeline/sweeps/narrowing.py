"""Coarse to fine: the ranges of an earlier sweep, narrowed around its best trials.

The best quarter of the earlier trials, at least three, says between which numbers to look again. Since the
best number may lie between two that were tried, half a step is added at both ends, on the range's own scale;
a step is the range's own, or its width divided by the number of trials, whichever is more. Nothing leaves the
earlier range. Of words, those among the best are left.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipeline.errors import Mistake
from pipeline.sweeps.best import front, ranked
from pipeline.sweeps.folder import Sweep
from pipeline.sweeps.jobs import Outcome, Result, Trial
from pipeline.sweeps.results import result_of
from pipeline.sweeps.space_words import dimensions_of, overrides_of
from pipeline.sweeps.spaces import Choices, Dimension, Numbers

AT_LEAST = 3
"""Trials around which a range is narrowed."""


def narrowed(earlier: Sweep) -> list[Dimension]:
    """What the earlier sweep searched, narrowed around its best trials.

    Args:
        earlier: A sweep with trials that have finished.

    Raises:
        Mistake: It has too few of them, or nothing was searched.
    """
    space = dimensions_of(overrides_of(earlier.facts.get("space") or {}))
    finished = ranked(_results(earlier), earlier.objectives)
    name = f"hydra.sweeper.start_from={earlier.sweep_id[:8]}"
    if not space:
        raise Mistake(f"{name}: that sweep has searched nothing; name one that has, or type what to search")
    if len(finished) < AT_LEAST:
        raise Mistake(
            f"{name}: {len(finished)} of its trials have finished, and ranges are narrowed around {AT_LEAST} "
            f"or more; make sweep resume={earlier.sweep_id[:8]} goes on with it"
        )
    rows = [_values_of(result, space) for result in _best(finished, earlier)]
    return [_narrow(one, [row[one.key] for row in rows], trials=len(finished)) for one in space]


def _best(finished: Sequence[Result], earlier: Sweep) -> list[Result]:
    """The best quarter; with several objectives first those that no other trial beats in all of them."""
    count = max(AT_LEAST, math.ceil(len(finished) / 4))
    if len(earlier.objectives) == 1:
        return list(finished[:count])
    best: list[Result] = []
    rest = list(finished)
    while len(best) < count:
        leading = front(rest, earlier.objectives)
        best += leading
        rest = [result for result in rest if result not in leading]
    return best


def _results(sweep: Sweep) -> list[Result]:
    outcomes: dict[int, list[Outcome]] = {}
    for outcome in sweep.outcomes:
        outcomes.setdefault(outcome.trial, []).append(outcome)
    jobs_each = max(map(len, outcomes.values()), default=0)  # with fewer, a fold or seed has not been trained
    # The words of its first job: those of a repetition beside the trial's do no harm.
    trials = {number: Trial(number=number, overrides=jobs[0].overrides) for number, jobs in outcomes.items()}
    return [
        result_of(trials[number], jobs, objectives=sweep.objectives)
        for number, jobs in outcomes.items()
        if len(jobs) == jobs_each
    ]


def _values_of(result: Result, space: Sequence[Dimension]) -> dict[str, Any]:
    """What a trial chose: a number, or a word of the earlier sweep's."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = OverridesParser.create().parse_overrides(list(result.trial.overrides))
    chosen = {override.get_key_element(): override for override in words}
    return {
        one.key: (
            float(str(chosen[one.key].value()))
            if isinstance(one.values, Numbers)
            else dimensions_of([chosen[one.key]])[0].values.words[0]  # type: ignore[union-attr]
        )
        for one in space
    }


def _narrow(dimension: Dimension, chosen: Sequence[Any], *, trials: int) -> Dimension:
    values = dimension.values
    if isinstance(values, Choices):
        return replace(
            dimension, values=Choices(words=tuple(word for word in values.words if word in chosen))
        )
    return replace(dimension, values=_narrow_numbers(values, chosen, trials=trials))


def _narrow_numbers(values: Numbers, chosen: Sequence[float], *, trials: int) -> Numbers:
    to_scale, from_scale = (math.log, math.exp) if values.is_log else (float, float)
    width = to_scale(values.high) - to_scale(values.low)
    step = width / trials
    if values.step is not None and not values.is_log:
        step = max(step, values.step)
    low = max(from_scale(to_scale(min(chosen)) - step / 2), values.low)
    high = min(from_scale(to_scale(max(chosen)) + step / 2), values.high)
    return _reached(values, low=low, high=high)


def _reached(values: Numbers, *, low: float, high: float) -> Numbers:
    """The nearest bounds outside that the range's steps reach; four figures where there are no steps."""
    if values.step is None:
        return replace(values, low=max(_short(low), values.low), high=min(_short(high), values.high))
    first = math.floor((low - values.low) / values.step + _ROUNDING)
    last = math.ceil((high - values.low) / values.step - _ROUNDING)
    return replace(values, low=values.reached(first), high=values.reached(min(last, values.steps)))


_ROUNDING = 1e-9


def _short(number: float) -> float:
    return float(f"{number:.4g}")
