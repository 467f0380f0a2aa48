"""What jobs and trials came to."""

import json
import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from pipeline.crew import STOPPED, Trained
from pipeline.problems import way_out
from pipeline.runs import Run
from pipeline.sweeps.jobs import Job, Outcome, Result, Status, Trial

SECONDS = "seconds"
"""A measure that every job has: how long it took."""

_WORST_FIRST: tuple[Status, ...] = ("KILLED", "FAILED", "PRUNED")


def outcome_of(job: Job, trained: Trained, *, before: float, was_stopped: bool) -> Outcome:
    """What became of a job.

    Args:
        job: The job.
        trained: Its process.
        before: Seconds that earlier attempts took.
        was_stopped: Whether the whole sweep was ended by a signal.
    """
    run = trained.run
    code = trained.code if run is not None or trained.code else 1
    status = _status(code, run=run, was_stopped=was_stopped)
    return Outcome(
        number=job.number,
        trial=job.trial,
        overrides=job.overrides,
        status=status,
        code=code,
        run_id=run.run_id if run is not None else None,
        folder=_folder(run),
        measures=measures_of(run) if run is not None else {},
        seconds=before + trained.seconds,
        message=_reason(trained) if status == "FAILED" else "",
    )


def _folder(run: Run | None) -> str | None:
    """Relative to the root: `outputs/<task>/<model>/<name>`."""
    return "/".join(run.folder.parts[-4:]) if run is not None else None


def _status(code: int, *, run: Run | None, was_stopped: bool) -> Status:
    if code == 0:
        return "PRUNED" if run is not None and run.facts.get("pruned") else "FINISHED"
    return "KILLED" if was_stopped or code in STOPPED else "FAILED"


def _reason(trained: Trained) -> str:
    """Why it failed, in a line: what it said at last, or what its log says."""
    lines = [line.strip() for line in trained.last_lines or _log_lines(trained.run) if line.strip()]
    told = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    return (told or lines or [f"exit code {trained.code}"])[-1]


def _log_lines(run: Run | None) -> list[str]:
    log = run.folder / "run.log" if run is not None else None
    if log is None or not log.exists():
        return []
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]


def measures_of(run: Run) -> dict[str, float]:
    """The numbers in a run's metrics.json; empty where it has none."""
    path = run.folder / "metrics.json"
    numbers = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: float(value) for name, value in numbers.items() if value is not None}


def result_of(trial: Trial, outcomes: Sequence[Outcome], *, objectives: Mapping[str, str]) -> Result:
    """What a trial came to.

    Args:
        trial: The choice of values.
        outcomes: All of its jobs.
        objectives: Names of measures with max or min.

    Returns:
        With the mean over its jobs, and the sample deviation; FAILED where a measure is missing.
    """
    status, message = _overall(outcomes)
    missing = _missing(outcomes, objectives=objectives) if status == "FINISHED" else ""
    if missing:
        status, message = "FAILED", missing
    columns = (
        {name: [_values(outcome)[name] for outcome in outcomes] for name in objectives}
        if status == "FINISHED"
        else {}
    )
    return Result(
        trial=trial,
        status=status,
        values={name: fmean(column) for name, column in columns.items()},
        deviations={name: stdev(column) for name, column in columns.items() if len(column) > 1},
        outcomes=tuple(outcomes),
        message=message,
    )


def _overall(outcomes: Sequence[Outcome]) -> tuple[Status, str]:
    for status in _WORST_FIRST:
        for outcome in outcomes:
            if outcome.status == status:
                return status, outcome.message
    return "FINISHED", ""


def _values(outcome: Outcome) -> dict[str, float]:
    return {**outcome.measures, SECONDS: outcome.seconds}


def _missing(outcomes: Sequence[Outcome], *, objectives: Mapping[str, str]) -> str:
    """Which objective a job has no number for, and what it has instead."""
    for outcome in outcomes:
        values = _values(outcome)
        for name in objectives:
            if not math.isfinite(values.get(name, math.nan)):
                end, _ = way_out(name, sorted(values), otherwise="it has")
                return f"job {outcome.number} has no number for the objective {name!r}; {end}"
    return ""
