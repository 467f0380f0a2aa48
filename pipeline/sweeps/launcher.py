"""Hydra's launcher `processes`: each job an ordinary `make train` in a process of its own."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from pipeline.compose import project_root
from pipeline.crew import Crew, Training
from pipeline.errors import Mistake
from pipeline.places import places

HOME = "hydra_plugins.pipeline"
"""Where Hydra thinks that our plugins live; see `pipeline.plugins`."""

_KEY = "hydra.launcher.devices_per_job"


class ProcessLauncher(Launcher):
    """Starts jobs side by side, each with devices of its own.

    Args:
        jobs: How many train at the same time; None: one on each group of GPUs, one without.
        devices_per_job: GPUs in a group; None: as many as `trainer.devices` says.
    """

    def __init__(self, *, jobs: int | None = None, devices_per_job: int | None = None) -> None:
        self._jobs = jobs
        self._devices = devices_per_job
        self._trainer: dict[str, Any] = {}

    @staticmethod
    def ended(code: int) -> None:
        """Is told the worst exit code of jobs for a sweeper that is not ours; `pipeline.plugins` sets it."""

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Hydra's first call."""
        self._trainer = dict(config.get("trainer") or {})

    def places(self, trainer: Mapping[str, Any]) -> list[str]:
        """For each job that may run at the same time, the GPUs it is given.

        Args:
            trainer: The node `trainer` of the first job.

        Raises:
            Mistake: These are no numbers, or more GPUs than there are.
        """
        for key, value in (("jobs", self._jobs), ("devices_per_job", self._devices)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise Mistake(f"hydra.launcher.{key}={value} must be a number of at least 1, or null")
        return places(trainer=trainer, jobs=self._jobs, devices_per_job=self._devices, key=_KEY)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run jobs for a sweeper that is not ours, such as Hydra's basic one.

        Args:
            job_overrides: Words of each.
            initial_job_idx: Number of the first.

        Returns:
            For each its exit code.
        """
        root, codes = project_root(), dict[int, int]()
        with tempfile.TemporaryDirectory(prefix="pipeline_") as folder:
            crew = Crew(places=self.places(self._trainer), root=root, folder=Path(folder))
            with crew.signals_forwarded():
                waiting = list(enumerate(job_overrides, initial_job_idx))
                while (waiting and crew.signal is None) or crew.running:
                    while waiting and crew.has_room:
                        number, words = waiting.pop(0)
                        crew.start(
                            Training(number=number, words=in_run_mode(words), mark=f"{folder}/{number}")
                        )
                    codes |= {trained.number: trained.code for trained in crew.ended()}
        if crew.signal is not None:
            raise KeyboardInterrupt
        self.ended(max(codes.values(), default=0))
        return [_returned(codes[number]) for number in sorted(codes)]


def in_run_mode(words: Sequence[str]) -> tuple[str, ...]:
    """The words of a job, which is no sweep even where `sweep=NAME` stands among them."""
    return (*words, "hydra.mode=RUN")


def _returned(code: int) -> JobReturn:
    returned = JobReturn(status=JobStatus.COMPLETED)
    returned.return_value = code
    return returned
