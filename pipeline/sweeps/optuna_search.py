"""Search by Optuna: asks its study for trials and tells it what they came to.

Imported only where Optuna is used.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import optuna
from optuna.exceptions import OptunaError
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import Mistake
from pipeline.sweeps.jobs import Result, Trial
from pipeline.sweeps.samplers import distributions_of
from pipeline.sweeps.spaces import Dimension

log = logging.getLogger(__name__)

_FAILURES = (OptunaError, SQLAlchemyError, OSError, RuntimeError)
_SWEEP, _REPEATS = "sweep", "repeats"


class OptunaSearch:
    """Trials of a study that others may share.

    A trial has the number that the study gives it. Those that this sweep has already asked for come first, so
    that a sweep goes on with what it has; whoever runs them knows which are done.

    Args:
        study: Where trials are remembered.
        space: What is searched.
        objectives: Names of measures, in the study's order.
        sweep_id: Tells this sweep's trials from those of others.
        n_trials: How many trials the study shall hold in all; those that run count.
        environment: What the processes of a trial are told, by its number.
    """

    def __init__(
        self,
        *,
        study: optuna.Study,
        space: Sequence[Dimension],
        objectives: Mapping[str, str],
        sweep_id: str,
        n_trials: int,
        environment: Callable[[int], Mapping[str, str]],
    ) -> None:
        self._study = study
        self._space = list(space)
        self._objectives = list(objectives)
        self._sweep_id = sweep_id
        self._n_trials = n_trials
        self._environment = environment
        self._earlier = deque(self._asked_before())
        self._untold: list[Result] = []

    @property
    def total(self) -> int | None:
        """How many trials this sweep will have, if no other takes them."""
        trials = self._study.get_trials(deepcopy=False)
        others = [trial for trial in trials if _counts(trial) and not self._is_own(trial)]
        return max(self._n_trials - len(others), 0)

    def next(self) -> Trial | None:
        """The next choice; None where there is no more.

        Raises:
            Mistake: The storage does not answer.
        """
        if self._earlier:
            return self._trial(self._earlier.popleft())
        try:
            self._tell_late()
            return self._asked()
        except _FAILURES as error:
            raise Mistake(
                f"Optuna's storage does not answer any more ({_first_line(error)}); once it does, "
                f"make sweep resume={self._sweep_id[:8]} goes on"
            ) from None

    def told(self, result: Result) -> None:
        """Tell the study; a trial that was ended by a signal waits there for its sweep to go on.

        Where the storage does not answer, it is told later: training costs more than a message.
        """
        self._untold.append(result)
        try:
            self._tell_late()
        except _FAILURES as error:
            log.warning("Optuna's storage does not answer, and is told later: %s", _first_line(error))

    def _tell_late(self) -> None:
        while self._untold:
            self._tell(self._untold[0])
            self._untold.pop(0)

    def _asked(self) -> Trial | None:
        trials = self._study.get_trials(deepcopy=False)
        if sum(map(_counts, trials)) >= self._n_trials:
            return None
        asked = self._study.ask(distributions_of(self._space))
        asked.set_user_attr(_SWEEP, self._sweep_id)
        return self._trial(asked)

    def _trial(self, trial: optuna.Trial | FrozenTrial) -> Trial:
        words = tuple(one.override(trial.params[one.key]) for one in self._space)
        return Trial(number=trial.number, overrides=words, environment=self._environment(trial.number))

    def _asked_before(self) -> list[FrozenTrial]:
        """Trials that an earlier process of this sweep has asked for, whatever became of them."""
        own = [trial for trial in self._study.get_trials(deepcopy=False) if self._is_own(trial)]
        for trial in own:
            if trial.state == TrialState.RUNNING and not self._is_whole(trial):
                # That process was killed while it asked.
                self._study.tell(trial.number, state=TrialState.FAIL)
        return [trial for trial in own if self._is_whole(trial) and _REPEATS not in trial.user_attrs]

    def _is_own(self, trial: FrozenTrial) -> bool:
        # Nobody else asks a study that is called after the sweep.
        alone = self._study.study_name == self._sweep_id
        return trial.state != TrialState.WAITING and (alone or trial.user_attrs.get(_SWEEP) == self._sweep_id)

    def _is_whole(self, trial: FrozenTrial) -> bool:
        return all(one.key in trial.params for one in self._space)

    def _tell(self, result: Result) -> None:
        number = result.trial.number
        trial = self._study.get_trials(deepcopy=False)[number]
        if trial.state == TrialState.FAIL and result.status == "FINISHED":
            self._add_again(trial, result)
        elif trial.state == TrialState.RUNNING and result.status != "KILLED":
            values = self._values(result) if result.status == "FINISHED" else None
            self._study.tell(number, values=values, state=_STATES[result.status])

    def _add_again(self, trial: FrozenTrial, result: Result) -> None:
        """A trial that had failed and was tried again; what a study was told once it keeps."""
        again = create_trial(
            params=trial.params,
            distributions=trial.distributions,
            values=self._values(result),
            user_attrs={_SWEEP: self._sweep_id, _REPEATS: trial.number},
        )
        if not any(
            one.user_attrs.get(_REPEATS) == trial.number for one in self._study.get_trials(deepcopy=False)
        ):
            self._study.add_trial(again)

    def _values(self, result: Result) -> list[float]:
        return [result.values[name] for name in self._objectives]


_STATES = {"FINISHED": TrialState.COMPLETE, "FAILED": TrialState.FAIL, "PRUNED": TrialState.PRUNED}


def _counts(trial: FrozenTrial) -> bool:
    """Whether it is one of those that were to be tried: not one without values, nor a repetition."""
    never_began = trial.state == TrialState.FAIL and not trial.params
    return trial.state != TrialState.WAITING and not never_began and _REPEATS not in trial.user_attrs


def _first_line(error: BaseException) -> str:
    return (str(getattr(error, "orig", None) or error) or type(error).__name__).splitlines()[0]
