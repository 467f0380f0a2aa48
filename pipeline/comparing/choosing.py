"""Which runs are meant: some by name, those of a sweep, or all of a task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.comparing.listed import Listed, read_all
from pipeline.errors import Mistake
from pipeline.problems import nearest
from pipeline.remote_runs import find_or_fetch
from pipeline.runs import all_runs, outputs
from pipeline.sweeps.folder import Sweep, find_sweep


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What is compared.

    Attributes:
        title: In words, such as `sweep 1a2b3c4d`.
        task: The task of all.
        runs: Finished ones, the oldest first.
        left_out: How many others there are, by the reason.
        sweep: Whose trials they are; None where they are of none.
        named: Whether a person named each of them.
    """

    title: str
    task: str
    runs: Sequence[Listed]
    left_out: Mapping[str, int]
    sweep: Sweep | None = None
    named: bool = False


def choose(*, root: Path, settings: Mapping[str, Any]) -> Chosen:
    """Find and read the runs that a person means.

    Args:
        root: The project's root folder.
        settings: Of the verb: `runs`, `task_name` and `sweep_name`, of which one may be given.

    Raises:
        Mistake: None, or none that has finished, is meant.
    """
    runs, task, sweep = (settings[key] for key in ("runs", "task_name", "sweep_name"))
    given = {"runs": runs and f"[{','.join(runs)}]", "task": task, "sweep": sweep}
    typed = [f"{key}={value}" for key, value in given.items() if value is not None]
    if len(typed) > 1:
        raise Mistake(f"{' and '.join(typed)} are given; one of them says what is compared")
    if runs is not None:
        return _named(root, runs)
    return _of_sweep(root, sweep) if sweep is not None else _of_task(root, task)


def _named(root: Path, names: Sequence[str]) -> Chosen:
    typed = f"runs=[{','.join(names)}]"
    if len(names) < 2:
        raise Mistake(f"{typed}: a comparison needs two runs or more, such as runs=[1a2b3c4d,latest]")
    runs = [find_or_fetch(root=root, name=name, task=None, key="runs") for name in names]
    ids = [run.run_id for run in runs]
    twice = next((run_id for run_id in ids if ids.count(run_id) > 1), None)
    if twice:
        raise Mistake(f"{typed} names run {twice[:8]} twice; give each once")
    tasks = {run.task: run.run_id[:8] for run in reversed(runs)}
    if len(tasks) > 1:
        of_each = " and ".join(f"{run_id} is of task={task}" for task, run_id in tasks.items())
        raise Mistake(f"{typed}: {of_each}; their measures have nothing in common")
    for run in runs:
        if reason := next(iter(read_all([run]).left_out), ""):
            raise Mistake(f"{typed}: run {run.run_id[:8]} cannot be compared: it is {reason}")
    title = " and ".join(run_id[:8] for run_id in ids) if len(ids) < 5 else f"{len(ids)} runs"
    listed = sorted(read_all(runs).listed, key=lambda one: float(one.run.facts["started"]))
    return Chosen(title=title, task=runs[0].task, runs=listed, left_out={}, named=True)


def _of_sweep(root: Path, name: str) -> Chosen:
    sweep = find_sweep(root=root, name=name)
    known = {str(run.folder.relative_to(root)): run for run in all_runs(root=root)}
    outcomes = sweep.outcomes
    done = [one.folder for one in outcomes if one.status == "FINISHED" and one.folder in known]
    reading = read_all([known[folder] for folder in done if folder is not None])
    left_out = dict(reading.left_out)
    for outcome in outcomes:
        if outcome.folder not in done:
            reason = "gone" if outcome.status == "FINISHED" else outcome.status.lower()
            left_out[reason] = left_out.get(reason, 0) + 1
    short = sweep.sweep_id[:8]
    if not reading.listed:
        raise Mistake(f"sweep={name}: no job of sweep {short} has finished{_counted(left_out)}")
    return Chosen(
        title=f"sweep {short}",
        task=reading.listed[0].run.task,
        runs=reading.listed,
        left_out=left_out,
        sweep=sweep,
    )


def _of_task(root: Path, task: str | None) -> Chosen:
    runs = all_runs(root=root)
    if not runs:
        raise Mistake(f"there is no run in {outputs(root)} yet; `make train` makes one")
    task = task or runs[-1].task
    reading = read_all([run for run in runs if run.task == task])
    if not reading.listed:
        known = sorted({run.task for run in runs} - {task})
        near = nearest(task, known)
        hint = f"did you mean {near!r}?" if near else f"there are runs of {', '.join(known) or 'no task'}"
        raise Mistake(f"task={task}: no run of it has finished{_counted(reading.left_out)}; {hint}")
    return Chosen(title=f"all runs of {task}", task=task, runs=reading.listed, left_out=reading.left_out)


def _counted(left_out: Mapping[str, int]) -> str:
    return f" ({in_words(left_out)})" if left_out else ""


def in_words(left_out: Mapping[str, int]) -> str:
    """`2 failed, 1 running`."""
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items())
