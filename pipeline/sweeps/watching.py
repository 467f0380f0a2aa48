"""What a trial that may be ended early reports to its study, and what the study answers.

Imports Optuna only when a study is asked.
"""

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from pipeline.compose import project_root
from pipeline.sweeps.jobs import TRIAL
from pipeline.sweeps.settings import Pruner
from pipeline.sweeps.storages import address_of, opened, quieten

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that a study may take to answer; a training waits for it."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A trial that may be ended early.

    Attributes:
        study: Name of the study.
        number: Of the trial in it.
        storage: Where the study is remembered, for people to read; OPTUNA_STORAGE has the whole address.
        prune: How hopeless trials are found.
        measure: What is reported, such as val/top1.
    """

    study: str
    number: int
    storage: str
    prune: Pruner
    measure: str

    def to_environment(self) -> dict[str, str]:
        """What the trial's processes are told."""
        return {TRIAL: json.dumps(asdict(self))}


def watched() -> Watched | None:
    """The trial that this process trains; None where nobody watches."""
    told = os.environ.get(TRIAL)
    return Watched(**json.loads(told)) if told else None


class Reporter:
    """Reports values of a trial. A study that does not answer is given up, and training goes on.

    Args:
        trial: The trial.
        patience: Seconds that an answer may take.
    """

    def __init__(self, trial: Watched, *, patience: float = PATIENCE) -> None:
        self._trial = trial
        self._patience = patience
        self._gave_up = False

    @cached_property
    def _storage(self) -> "optuna.storages.BaseStorage":
        return opened(address_of(None, root=project_root()))

    @cached_property
    def _study(self) -> "optuna.Study":
        import optuna

        from pipeline.sweeps.samplers import pruner_of

        return optuna.load_study(
            study_name=self._trial.study,
            storage=self._storage,
            pruner=pruner_of(self._trial.prune),
            sampler=optuna.samplers.RandomSampler(),
        )

    def is_hopeless(self, value: float, *, epochs: int) -> bool:
        """Report a value and ask whether it is worth going on.

        Args:
            value: Of the measure.
            epochs: After how many.

        Returns:
            Whether to end here; False where the study does not answer.
        """
        if self._gave_up:
            return False
        quieten()  # which imports Optuna: seconds on a busy machine, and nobody's fault
        answer = _within(self._patience, lambda: self._ask(value, epochs))
        self._gave_up = not isinstance(answer, bool)
        if self._gave_up:
            log.warning(
                "the study in %s does not answer (%s); this trial goes on to its end",
                self._trial.storage,
                answer or f"nothing in {self._patience:.0f} s",
            )
        return answer is True

    def _ask(self, value: float, epochs: int) -> bool:
        storage = self._storage
        identifier = storage.get_trial_id_from_study_id_trial_number(
            storage.get_study_id_from_name(self._trial.study), self._trial.number
        )
        storage.set_trial_intermediate_value(identifier, epochs, value)
        return bool(self._study.pruner.prune(self._study, storage.get_trial(identifier)))


def _within(seconds: float, answer: Callable[[], T]) -> T | Exception | None:
    """An answer, or the error that came instead; None where neither came in time."""
    answers: list[T | Exception] = []

    def work() -> None:
        try:
            answers.append(answer())
        except Exception as error:
            answers.append(error)

    # A daemon: one that hangs for good must not keep the process from ending.
    thread = threading.Thread(target=work, name="study", daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else None
