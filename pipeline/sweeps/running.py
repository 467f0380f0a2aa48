"""The loop of a sweep: asks for trials, starts their jobs as places get free, and tells what they came to."""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.crew import Crew, Trained, Training
from pipeline.errors import Mistake
from pipeline.runs import Run, all_runs
from pipeline.sweeps.batches import Batches
from pipeline.sweeps.folder import Sweep
from pipeline.sweeps.jobs import TAGS, Job, Outcome, Result, Search, Trial
from pipeline.sweeps.launcher import in_run_mode
from pipeline.sweeps.results import outcome_of, result_of
from pipeline.sweeps.varied import brief

_PARENT = "mlflow.parentRunId"
_NAME = "mlflow.runName"


class Watcher(Protocol):
    """Is told how a sweep comes along."""

    def started(self, job: Job) -> None:
        """A job trains."""

    def ended(self, outcome: Outcome, trained: Trained | None) -> None:
        """A job has ended; without a process where it had ended before the sweep went on."""

    def told(self, result: Result) -> None:
        """All jobs of a trial have ended."""

    def run_of(self, trial: Trial) -> str | None:
        """Id of the MLflow run that the runs of a trial stand below; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all jobs of a sweep share.

    Attributes:
        flags: Options of the command line, such as `--config-dir`.
        goes_on: Whether an earlier process has begun this sweep.
        fixed: Words of every job.
        repetitions: Words of each training of a trial.
        retry_failed: Whether jobs that have failed before are done again.
        root: The project's root folder.
    """

    flags: tuple[str, ...]
    goes_on: bool
    fixed: tuple[str, ...]
    repetitions: Sequence[tuple[str, ...]]
    retry_failed: bool
    root: Path


@dataclass(kw_only=True)
class _Open:
    """A trial whose jobs have not all ended."""

    trial: Trial
    left: int
    outcomes: dict[int, Outcome] = field(default_factory=dict)


class Runner:
    """Runs a sweep to its end.

    Args:
        sweep: On disk; outcomes of earlier processes are taken as they are.
        search: Chooses the trials.
        plan: What all jobs share.
        hands: What trains.
        watcher: Is told of everything.
    """

    def __init__(
        self, *, sweep: Sweep, search: Search, plan: Plan, hands: Crew | Batches, watcher: Watcher
    ) -> None:
        self._sweep, self._search, self._plan = sweep, search, plan
        self._hands, self._watcher = hands, watcher
        self._known = {outcome.number: outcome for outcome in sweep.outcomes}
        self._runs = _runs_of(sweep, root=plan.root) if plan.goes_on else {}
        self._waiting: deque[Job] = deque()
        self._jobs: dict[int, Job] = {}
        self._open: dict[int, _Open] = {}
        self.results: list[Result] = []
        self.problem: Mistake | None = None
        """Why no more trials could be asked for."""

    def run(self) -> None:
        """Ask, train and tell until there is no more, or a signal ends it."""
        with self._hands.signals_forwarded():
            while self._fill() or self._hands.running:
                for trained in self._hands.ended():
                    self._take(trained)

    def _fill(self) -> bool:
        """Start jobs while there is room; whether one was started."""
        started = False
        while self._hands.has_room:
            job = self._next_job()
            if job is None:
                break
            self._start(job)
            started = True
        return started

    def _next_job(self) -> Job | None:
        while not self._waiting:
            trial = self._next_trial()
            if trial is None:
                return None
            self._take_up(trial)
        return self._waiting.popleft()

    def _next_trial(self) -> Trial | None:
        if self.problem is not None:
            return None
        try:
            trial = self._search.next()
            self._check_known(trial)
            return trial
        except Mistake as mistake:
            self.problem = mistake  # those that train are waited for first
            return None

    def _check_known(self, trial: Trial | None) -> None:
        """Refuse a trial whose jobs had other words before: their measures would be taken for its own."""
        for job in self._expanded(trial) if trial is not None else ():
            known = self._known.get(job.number)
            if known is not None and known.overrides != job.overrides:
                raise Mistake(
                    f"job {job.number} of sweep {self._sweep.sweep_id[:8]} was "
                    f"{' '.join(known.overrides)}, and would now be {' '.join(job.overrides)}; "
                    f"this sweep cannot go on, start a new one"
                )

    def _take_up(self, trial: Trial) -> None:
        """Put the jobs of a trial into the queue, those excepted that an earlier process has done."""
        jobs = list(self._expanded(trial))
        self._open[trial.number] = _Open(trial=trial, left=len(jobs))
        for job in jobs:
            done = self._done_before(job)
            if done is None:
                self._waiting.append(job)
            else:
                self._count(done, trained=None)

    def _expanded(self, trial: Trial) -> list[Job]:
        first = trial.number * len(self._plan.repetitions)
        return [
            Job(
                number=first + place,
                trial=trial.number,
                overrides=(*trial.overrides, *words),
                environment=trial.environment,
            )
            for place, words in enumerate(self._plan.repetitions)
        ]

    def _done_before(self, job: Job) -> Outcome | None:
        """What an earlier process came to with a job; None where there is something left to do."""
        known = self._known.get(job.number)
        if known is not None and known.status != "KILLED":
            return None if known.status == "FAILED" and self._plan.retry_failed else known
        run = self._runs.get(self._mark(job))
        if run is None or run.facts.get("status") != "FINISHED":
            return None
        # That process was killed before it could write down that the job had ended.
        seconds = max(0.0, (run.folder / "run.json").stat().st_mtime - float(run.facts["started"]))
        trained = Trained(number=job.number, code=0, run=run, seconds=seconds)
        outcome = outcome_of(job, trained, before=0.0, was_stopped=False)
        self._sweep.add(outcome)
        return outcome

    def _mark(self, job: Job) -> str:
        return f"{self._sweep.sweep_id}/{job.number}"

    def _start(self, job: Job) -> None:
        self._jobs[job.number] = job
        self._watcher.started(job)
        self._hands.start(
            Training(
                number=job.number,
                words=(*self._plan.flags, *in_run_mode(self._words(job))),
                mark=self._mark(job),
                environment={**job.environment, TAGS: json.dumps(self._tags(job))},
            )
        )

    def _words(self, job: Job) -> tuple[str, ...]:
        """What a job is told: its words, or to go on with the run that it had begun."""
        run, known = self._runs.get(self._mark(job)), self._known.get(job.number)
        was_stopped = known is None or known.status == "KILLED"
        if run is not None and was_stopped and run.facts.get("status") in ("RUNNING", "KILLED"):
            return (f"resume={run.run_id}",)
        return (*self._plan.fixed, *job.overrides)

    def _tags(self, job: Job) -> Mapping[str, str]:
        parent = self._watcher.run_of(self._open[job.trial].trial)
        own = {"sweep": self._sweep.sweep_id[:8], "trial": str(job.trial), "job": str(job.number)}
        return {**({_PARENT: parent} if parent else {}), **own, _NAME: brief(job.overrides)}

    def _take(self, trained: Trained) -> None:
        known = self._known.get(trained.number)
        outcome = outcome_of(
            self._jobs.pop(trained.number),
            trained,
            before=known.seconds if known is not None and known.status == "KILLED" else 0.0,
            was_stopped=self._hands.signal is not None,
        )
        self._sweep.add(outcome)
        self._count(outcome, trained=trained)

    def _count(self, outcome: Outcome, *, trained: Trained | None) -> None:
        """Count a job that has ended; with the last one of its trial, tell what that came to."""
        self._watcher.ended(outcome, trained)
        trial = self._open[outcome.trial]
        trial.outcomes[outcome.number] = outcome
        if len(trial.outcomes) == trial.left:
            self._tell(self._open.pop(outcome.trial))

    def _tell(self, ended: _Open) -> None:
        outcomes = [ended.outcomes[number] for number in sorted(ended.outcomes)]
        result = result_of(ended.trial, outcomes, objectives=self._sweep.objectives)
        self.results.append(result)
        if result.status != "KILLED":  # that one goes on later
            self._search.told(result)
        self._watcher.told(result)


def _runs_of(sweep: Sweep, *, root: Path) -> dict[str, Run]:
    """The latest run of each job that an earlier process of the sweep had started, by its mark."""
    runs = [run for run in all_runs(root=root) if _is_of(run, sweep)]
    return {run.facts["started_as"]: run for run in runs}


def _is_of(run: Run, sweep: Sweep) -> bool:
    return str(run.facts.get("started_as", "")).startswith(f"{sweep.sweep_id}/")
