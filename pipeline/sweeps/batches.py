"""Jobs through a launcher that is not ours (joblib, submitit, Ray): handed over in batches."""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.crew import Trained, Training, run_marked
from pipeline.environment import usable_cores
from pipeline.errors import EXIT_FAILURE, EXIT_MISTAKE, Mistake
from pipeline.requeue import REQUEUE
from pipeline.runs import STARTED_AS
from pipeline.sweeps.words import environment_words, quoted

log = logging.getLogger(__name__)

ALL = 10**6
"""Jobs in a batch that is not limited."""

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, REQUEUE)


class Batches:
    """The same as a `Crew` for a launcher that starts many jobs at once and answers when all have ended.

    Args:
        launcher: Hydra's, set up.
        size: Jobs in a batch.
        root: The project's root folder.
        folder: The sweep's.
        check: Raises a Mistake where words cannot be composed, which would end the whole batch.
    """

    is_alone = True  # what jobs say goes to the terminal

    def __init__(
        self, *, launcher: Any, size: int, root: Path, folder: Path, check: Callable[[Sequence[str]], object]
    ) -> None:
        self._launcher, self._size, self._root, self._folder = launcher, size, root, folder
        self._check = check
        self._waiting: list[Training] = []
        self._is_launching = False
        self.signal: int | None = None

    @property
    def at_a_time(self) -> str:
        """How many train at the same time, in words."""
        name = type(self._launcher).__name__
        return f"as many as {name} starts" + (f", {self._size} in a batch" if self._size < ALL else "")

    @property
    def running(self) -> list[int]:
        """Numbers of those that wait for the batch."""
        return [training.number for training in self._waiting]

    @property
    def has_room(self) -> bool:
        """Whether the batch takes another one."""
        return self.signal is None and len(self._waiting) < self._size

    def start(self, training: Training) -> None:
        """Put one into the batch."""
        self._waiting.append(training)

    def ended(self) -> list[Trained]:
        """Hand the batch over, and wait until all of it has ended."""
        batch, self._waiting = self._waiting, []
        wrong = {training.number: problem for training in batch if (problem := self._problem(training))}
        right = [training for training in batch if training.number not in wrong]
        since = time.time()
        codes = self._launched(right) if right and self.signal is None else {}
        refused = [
            Trained(
                number=number, code=EXIT_MISTAKE, run=None, seconds=0.0, last_lines=(f"error: {problem}",)
            )
            for number, problem in wrong.items()
        ]
        return refused + [self._trained(training, codes=codes, since=since) for training in right]

    def _problem(self, training: Training) -> str:
        try:
            self._check(training.words)
        except Mistake as mistake:
            return " ".join(str(mistake).split())
        return ""

    def _launched(self, batch: Sequence[Training]) -> dict[int, int]:
        """Exit codes by the numbers of the jobs, as far as the launcher knows them."""
        self._is_launching = True
        try:
            returned = self._launcher.launch(
                [self._words(training) for training in batch], initial_job_idx=batch[0].number
            )
            pairs = zip(batch, (one._return_value for one in returned), strict=True)
            return {training.number: code for training, code in pairs if isinstance(code, int)}
        except KeyboardInterrupt:
            self.signal = self.signal or signal.SIGINT
        except Exception as error:  # noqa: BLE001 # whatever a launcher raises; each run says how it ended
            log.warning("the launcher has failed: %s", error)
        finally:
            self._is_launching = False
        return {}

    def _words(self, training: Training) -> list[str]:
        told = {**training.environment, STARTED_AS: training.mark}
        # What Hydra would make a folder for each job of lies in one.
        where = [f"hydra.sweep.dir={quoted(str(self._folder))}", "hydra.sweep.subdir=jobs"]
        return [*training.words, *where, *environment_words(told)]

    def _trained(self, training: Training, *, codes: dict[int, int], since: float) -> Trained:
        run = run_marked(training.mark, root=self._root)
        has_finished = run is not None and run.facts.get("status") == "FINISHED"
        guess = 0 if has_finished else EXIT_FAILURE
        code = codes.get(training.number, guess if self.signal is None else 128 + self.signal)
        ended = (run.folder / "run.json").stat().st_mtime if run is not None else since
        began = max(since, float(run.facts["started"])) if run is not None else since
        return Trained(number=training.number, code=code, run=run, seconds=max(0.0, ended - began))

    @contextmanager
    def signals_forwarded(self) -> Iterator[None]:
        """Let a signal end the batch as Ctrl-C does."""
        kept = {number: signal.signal(number, self._interrupt) for number in _SIGNALS}
        kept[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        self.signal = self.signal or number
        if self._is_launching:
            raise KeyboardInterrupt


def batch_size(launcher: Any, *, typed: int | None, learns: bool) -> int:
    """How many jobs a launcher is handed at once.

    Args:
        launcher: Hydra's.
        typed: What a person says.
        learns: Whether later trials depend on what earlier ones came to.
    """
    if typed is not None:
        return typed
    if not learns:
        return ALL
    joblib = getattr(launcher, "joblib", None) or {}
    submitit = getattr(launcher, "params", None) or {}
    count = int(joblib.get("n_jobs") or submitit.get("array_parallelism") or 1)
    return count if count > 0 else usable_cores()
