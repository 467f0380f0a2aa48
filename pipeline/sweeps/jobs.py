"""The words of a sweep: a trial is one choice of values, a job is one training of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

TAGS = "PIPELINE_TAGS"
"""In the environment of a job: tags of its MLflow run as JSON, such as `mlflow.parentRunId`."""

TRIAL = "PIPELINE_TRIAL"
"""In the environment of a job that may be pruned: what its callback must know, as JSON."""

Status = Literal["FINISHED", "FAILED", "PRUNED", "KILLED"]
Mode = Literal["max", "min"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One choice of values.

    Attributes:
        number: In the sweep, from 0.
        overrides: As typed for make train, such as ``optimizer.lr=0.01``.
        environment: What its processes are told beside the words.
    """

    number: int
    overrides: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training.

    Attributes:
        number: In the sweep, from 0.
        trial: Number of its trial.
        overrides: Those of its trial, and what this repetition adds, such as ``data.fold=2``.
        environment: That of its trial, and what this job adds.
    """

    number: int
    trial: int
    overrides: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a job; a line of ``jobs.jsonl``.

    Attributes:
        number: Of the job.
        trial: Of its trial.
        overrides: Of the job.
        status: PRUNED where its training was ended as hopeless, KILLED where a signal ended it.
        code: Exit code of its make train.
        run_id: Its run; None where it ended before it had one.
        folder: That run's folder, relative to the project's root; None with ``run_id``.
        measures: All of its ``metrics.json``; empty where it has none.
        seconds: That it took, with those of earlier attempts.
        message: Why it did not finish, in a line; empty where it did.
    """

    number: int
    trial: int
    overrides: tuple[str, ...]
    status: Status
    code: int
    run_id: str | None
    folder: str | None
    measures: Mapping[str, float]
    seconds: float
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a trial came to, over its jobs.

    Attributes:
        trial: The choice of values.
        status: FINISHED only where all of its jobs are.
        values: Of each objective, the mean over its jobs; empty unless FINISHED.
        deviations: Of each objective over its jobs; empty with fewer than two.
        outcomes: Its jobs.
        message: Why it did not finish, in a line; empty where it did.
    """

    trial: Trial
    status: Status
    values: Mapping[str, float]
    deviations: Mapping[str, float]
    outcomes: tuple[Outcome, ...]
    message: str = ""


class Search(Protocol):
    """Chooses the trials of a sweep; the sweeper asks and tells."""

    @property
    def total(self) -> int | None:
        """How many trials there will be; None where nobody knows."""

    def next(self) -> Trial | None:
        """The next choice; None where there is no more."""

    def told(self, result: Result) -> None:
        """Learn what a trial came to."""
