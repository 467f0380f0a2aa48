"""A trained network, named by its run or by its checkpoint file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule, LightningModule

from pipeline import build, checkpoints
from pipeline.compose import problems_of
from pipeline.errors import Mistake
from pipeline.remote_runs import find_or_fetch
from pipeline.validate import report


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network with its weights, and what it knows of its data.

    Attributes:
        task: The task, in evaluation mode.
        config: The configuration it was trained with.
        run_id: The run that trained it.
        path: The checkpoint file.
        folder: Where results about it belong: the run's folder, or the checkpoint's.
    """

    task: LightningModule
    config: dict[str, Any]
    run_id: str
    path: Path
    folder: Path


def load_trained(*, root: Path, run: str, checkpoint: str | None, task: str | None) -> Trained:
    """Load the network that a person names.

    Args:
        root: The project's root folder.
        run: `latest`, an id, or the beginning of one; not looked at where a checkpoint is given.
        checkpoint: A checkpoint file, relative to the current folder.
        task: Only a run of this task is meant by `latest`.

    Raises:
        Mistake: No such run or file, or one of another task.
    """
    if checkpoint is not None:
        path = Path(checkpoint).expanduser()
        folder = path.resolve().parent
    else:
        found = find_or_fetch(root=root, name=run, task=task)
        path, folder = checkpoints.kept(found), found.folder
    content = checkpoints.read(path)
    config = content["pipeline"]["config"]
    _check(config, path=path, task=task)
    loaded = checkpoints.load_task(content, path=path)
    return Trained(task=loaded, config=config, run_id=content["pipeline"]["run_id"], path=path, folder=folder)


def _check(config: dict[str, Any], *, path: Path, task: str | None) -> None:
    of_task = config["choices"]["task"]
    if task is not None and of_task != task:
        raise Mistake(f"checkpoint={path} is of task={of_task}, not of task={task}; leave task= out")
    problems = problems_of(verb="train", config=config)
    if problems:
        raise Mistake(
            f"checkpoint={path} holds a configuration that this version cannot use:\n{report(problems)}"
        )


def data_of(trained: Trained, **changes: Any) -> LightningDataModule:
    """The data module that a network was trained with.

    Args:
        trained: The network.
        **changes: Arguments of the data module to replace; those that are None stay.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    return build.datamodule({**trained.config, "data": {**trained.config["data"], **given}})
