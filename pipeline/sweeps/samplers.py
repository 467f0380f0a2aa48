"""Optuna's samplers and pruners by the names that a person types.

Imported only where Optuna is used.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy
from optuna import pruners, samplers
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import Study
from optuna.trial import FrozenTrial

from pipeline.errors import Mistake
from pipeline.sweeps.settings import Method, Pruner
from pipeline.sweeps.spaces import Dimension, Numbers

_MakeSampler = Callable[[int], samplers.BaseSampler]


class SeededSampler(samplers.BaseSampler):
    """A sampler whose randomness depends on the seed and the number of the trial alone.

    With a generator that runs on, a sweep that goes on would repeat its first draws, and so would every
    machine that joins the study.

    Args:
        make: Makes the sampler from the number of a trial.
    """

    def __init__(self, make: _MakeSampler) -> None:
        self._make = make
        self._inner = make(0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Start the randomness of this trial."""
        self._inner = self._make(trial.number)
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What is chosen together."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Choose what is chosen together."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Choose what is chosen by itself."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)


def sampler_of(
    method: Method, *, space: Sequence[Dimension], objectives: Mapping[str, str], seed: int
) -> SeededSampler:
    """A sampler by its name.

    Args:
        method: How trials are chosen.
        space: What is searched.
        objectives: What is looked for.
        seed: Where the randomness starts.

    Raises:
        Mistake: The method cannot search this space, or for so many objectives.
    """
    if method == "cmaes":
        _check_cmaes(space, objectives)
    makers: dict[Method, _MakeSampler] = {
        "grid": lambda _: samplers.GridSampler(grid_of(space), seed=seed),
        "random": lambda number: samplers.RandomSampler(seed=_seed(seed, number)),
        "tpe": lambda number: samplers.TPESampler(seed=_seed(seed, number), constant_liar=True),
        "cmaes": lambda number: samplers.CmaEsSampler(
            seed=_seed(seed, number),
            warn_independent_sampling=False,
            independent_sampler=_random(seed, number),
        ),
        "nsga2": lambda number: samplers.NSGAIISampler(seed=_seed(seed, number)),
        # The sequence is one for all trials, and each takes its own place in it.
        "qmc": lambda number: samplers.QMCSampler(
            seed=seed,
            scramble=True,
            warn_independent_sampling=False,
            independent_sampler=_random(seed, number),
        ),
    }
    return SeededSampler(makers[method])


def _random(seed: int, number: int) -> samplers.RandomSampler:
    return samplers.RandomSampler(seed=_seed(seed, number))


def _seed(seed: int, number: int) -> int:
    return int(numpy.random.SeedSequence([seed, number]).generate_state(1)[0])


def _check_cmaes(space: Sequence[Dimension], objectives: Mapping[str, str]) -> None:
    numeric = [one.key for one in space if isinstance(one.values, Numbers)]
    if len(numeric) < 2:
        raise Mistake(
            f"hydra.sweeper.method=cmaes searches two or more ranges of numbers, such as "
            f"optimizer.lr=tag(log, interval(1e-4, 1e-1)), and here are {len(numeric)}; "
            f"method=tpe takes words too"
        )
    if len(objectives) > 1:
        raise Mistake(
            f"hydra.sweeper.method=cmaes looks for one objective, not for {', '.join(objectives)}; "
            f"method=nsga2 or tpe take several"
        )


def distributions_of(space: Sequence[Dimension]) -> dict[str, BaseDistribution]:
    """What is searched, as Optuna calls it.

    Args:
        space: What is searched.
    """
    return {one.key: _distribution(one) for one in space}


def _distribution(dimension: Dimension) -> BaseDistribution:
    values = dimension.values
    if not isinstance(values, Numbers):
        return CategoricalDistribution(values.words)
    if values.is_whole:
        step = 1 if values.step is None else int(values.step)
        return IntDistribution(int(values.low), int(values.high), log=values.is_log, step=step)
    return FloatDistribution(values.low, values.high, log=values.is_log, step=values.step)


def grid_of(space: Sequence[Dimension]) -> dict[str, list[Any]]:
    """Every value of each key, as Optuna's grid takes them.

    Args:
        space: What is searched; without intervals.
    """
    return {one.key: _every(one) for one in space}


def _every(dimension: Dimension) -> list[Any]:
    values = dimension.values
    if not isinstance(values, Numbers):
        return list(values.words)
    return [values.reached(steps) for steps in range(values.steps + 1)]


def pruner_of(name: Pruner) -> pruners.BasePruner:
    """What decides that a trial is hopeless, by its name.

    What is spent on a trial is counted in epochs.

    Args:
        name: ``median`` ends what is worse than half of the others at the same epoch. ``asha`` lets the best
            quarter go on after 1, 4, 16, ... epochs (Li et al., A system for massively parallel
            hyperparameter tuning, MLSys 2020). ``hyperband`` lets the best third go on, and looks for the
            first time after 1 epoch in some trials, after more in others (Li et al., Hyperband, JMLR 2018).
    """
    made: dict[Pruner, Callable[[], pruners.BasePruner]] = {
        "none": pruners.NopPruner,
        "median": pruners.MedianPruner,
        "asha": lambda: pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=4),
        "hyperband": pruners.HyperbandPruner,
    }
    return made[name]()
