"""How much of the spread of a sweep's results comes from each key that was varied."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.sweeps.varied import Axis

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FEWEST = 4
"""Trials that a statement about several keys takes."""

_DEPTH = 6
"""Of the trees: with 1000 trials 2 s instead of 78, and shares that differ by less than 0.01."""


def importances(axes: Sequence[Axis], values: Sequence[float | None]) -> dict[str, float]:
    """Shares of the variance of an objective, by functional ANOVA over a random forest.

    Hutter, Hoos and Leyton-Brown, An Efficient Approach for Assessing Hyperparameter Importance (ICML 2014).
    The share of a key alone, without what it does only together with others; they are scaled to add up to 1.

    Args:
        axes: The keys that were varied; those on a logarithmic scale are compared on it.
        values: The objective of each trial; None where it has none.

    Returns:
        The keys, the most important first; empty with fewer than `FEWEST` values, or where all are alike.
    """
    places = [place for place, value in enumerate(values) if value is not None and math.isfinite(value)]
    numbers = [float(values[place] or 0.0) for place in places]
    kept = [axis for axis in axes if len({axis.values[place] for place in places}) > 1]
    if len(places) < FEWEST or len(set(numbers)) < 2 or not kept:
        return {}
    return _by_forest([_taken(axis, places) for axis in kept], numbers)


def _taken(axis: Axis, places: Sequence[int]) -> Axis:
    """An axis at some trials only, with logarithms instead of the values where those are compared."""
    values = [axis.values[place] for place in places]
    if axis.scale == "category":
        return _numbered(Axis(name=axis.name, values=tuple(map(str, values)), scale="category"))
    plain = [float(value or 0.0) for value in values]
    # Optuna's own logarithmic scale does not reach its fANOVA, which would look at the raw values.
    on_scale = tuple(math.log10(value) for value in plain) if axis.scale == "log" else tuple(plain)
    return Axis(name=axis.name, values=on_scale, scale="linear")


def _numbered(axis: Axis) -> Axis:
    """A category of two as 0 and 1: with a column for each of them a third of what it explains is lost."""
    names = sorted({str(value) for value in axis.values})
    if len(names) != 2:
        return axis
    return Axis(
        name=axis.name, values=tuple(float(names.index(str(value))) for value in axis.values), scale="linear"
    )


def _by_forest(axes: Sequence[Axis], numbers: Sequence[float]) -> dict[str, float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    distributions = {axis.name: _distribution(axis) for axis in axes}
    for place, number in enumerate(numbers):
        params = {axis.name: axis.values[place] for axis in axes}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=number))
    evaluator = optuna.importance.FanovaImportanceEvaluator(max_depth=_DEPTH, seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in shares.items()}


def _distribution(axis: Axis) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if axis.scale == "category":
        return CategoricalDistribution(sorted({str(value) for value in axis.values}))
    numbers = [float(value or 0.0) for value in axis.values]
    return FloatDistribution(min(numbers), max(numbers))
