"""Where runs lie and how a person names one: `latest`, an MLflow run id, or the beginning of one."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Mistake

_SHOWN = 5

WHOLE_ID = re.compile("[0-9a-f]{32}")
"""How MLflow writes the id of a run."""

STARTED_AS = "PIPELINE_STARTED_AS"
"""In the environment of a training that another command starts, and finds again by this word in run.json."""

ENSEMBLE = "ensemble"
"""Where the name of a model stands for a single network: in the folder's path, and in MLflow's tags."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution on disk.

    Attributes:
        folder: `outputs/<task>/<model>/<time>_<id>/`.
        run_id: Its MLflow run id.
        facts: What `run.json` says of it: overrides, time of start, kept checkpoint, status.
    """

    folder: Path
    run_id: str
    facts: dict[str, Any]

    @property
    def task(self) -> str:
        """Name of the task, as the folder says."""
        return self.folder.parent.parent.name

    @property
    def is_ensemble(self) -> bool:
        """Whether it is several networks that answer as one."""
        return self.folder.parent.name == ENSEMBLE

    @property
    def config(self) -> dict[str, Any]:
        """The run's resolved configuration."""
        import yaml

        # The same safe loader in C, where it was built: ten times faster, for a thousand runs at once.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        loaded = yaml.load((self.folder / "config.yaml").read_text(encoding="utf-8"), Loader=loader)
        assert isinstance(loaded, dict)
        return loaded


def outputs(root: Path) -> Path:
    """The folder of all runs."""
    return root / "outputs"


def all_runs(*, root: Path, task: str | None = None) -> list[Run]:
    """Every run on this machine, the oldest first.

    Args:
        root: The project's root folder.
        task: Runs of this task only.
    """
    files = outputs(root).glob(f"{task or '*'}/*/*/run.json")
    runs = [_read(path) for path in files]
    return sorted(runs, key=lambda run: (run.facts["started"], run.folder.name))


def _read(path: Path) -> Run:
    facts = json.loads(path.read_text(encoding="utf-8"))
    return Run(folder=path.parent, run_id=facts["run_id"], facts=facts)


def run_of(checkpoint: Path) -> Run | None:
    """The run in whose folder a checkpoint lies; None where it lies elsewhere.

    Args:
        checkpoint: A file.
    """
    path = checkpoint.parent.parent / "run.json"
    is_run = path.is_file() and (path.parent / "config.yaml").is_file()
    return _read(path) if is_run else None


def find_run(
    *, root: Path, name: str, task: str | None = None, trained: bool = False, key: str = "run"
) -> Run:
    """The run that a person means.

    Args:
        root: The project's root folder.
        name: `latest`, a run id, or the beginning of one that no other run shares.
        task: Look among the runs of this task only.
        trained: `latest` is the latest run that saved a checkpoint; one that failed at once is passed over.
        key: What the person typed it as, for messages.

    Raises:
        Mistake: No run, or more than one, is meant.
    """
    runs = all_runs(root=root, task=task)
    if task and name != "latest":
        _refuse_other_task(all_runs(root=root), name=name, task=task, key=key)
    if not runs:
        of_task, words = (f" of task={task}", f" task={task}") if task else ("", "")
        raise Mistake(
            f"{key}={name}: there is no run{of_task} in {outputs(root)} yet; `make train{words}` makes one"
        )
    if name == "latest":
        return next((run for run in reversed(runs) if not trained or _has_checkpoint(run)), runs[-1])
    found = [run for run in runs if run.run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    raise Mistake(_not_one(key=key, name=name, found=found, runs=runs))


def check_run(*, root: Path, settings: dict[str, Any]) -> None:
    """Answer a wrong `run=` at once, before torch is imported.

    A whole id may still be known to the MLflow server; that is looked up later.

    Args:
        root: The project's root folder.
        settings: Of a verb with `run`, `checkpoint` and `task_name`.

    Raises:
        Mistake: No run on this machine is meant.
    """
    if settings["checkpoint"] is None and not WHOLE_ID.fullmatch(settings["run"]):
        find_run(root=root, name=settings["run"], task=settings["task_name"], trained=True)


def _has_checkpoint(run: Run) -> bool:
    return any((run.folder / "checkpoints").glob("*.ckpt"))


def _refuse_other_task(runs: list[Run], *, name: str, task: str, key: str) -> None:
    """Say of which task a run is, rather than that it is not there.

    Raises:
        Mistake: Every run that is meant is of another task.
    """
    found = [run for run in runs if run.run_id.startswith(name)]
    others = {run.task for run in found}
    if others and task not in others:
        raise Mistake(
            f"{key}={name} is of task={', '.join(sorted(others))}, not of task={task}; give a run of "
            f"task={task}, such as {key}=latest"
        )


def _not_one(*, key: str, name: str, found: list[Run], runs: list[Run]) -> str:
    shown = ", ".join(f"{run.run_id[:8]} ({run.task})" for run in reversed((found or runs)[-_SHOWN:]))
    if found:
        return f"{key}={name} is the beginning of {len(found)} runs: {shown}; give more of its letters"
    return f"{key}={name}: no run has this id; the latest are {shown}, or {key}=latest"
