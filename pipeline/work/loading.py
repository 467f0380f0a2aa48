"""A trained network, named by its run or by its checkpoint file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule, LightningModule

from pipeline import build, checkpoints
from pipeline.compose import problems_of
from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.remote_runs import find_or_fetch
from pipeline.validate import report


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network with its weights, and what it knows of its data.

    Attributes:
        task: The task, in evaluation mode.
        config: The configuration it was trained with.
        metadata: What it knows of its data.
        run_id: The run that trained it.
        path: The checkpoint file.
        folder: Where results about it belong: the run's folder, or the checkpoint's.
    """

    task: LightningModule
    config: dict[str, Any]
    metadata: dict[str, Any]
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
    record = content["pipeline"]
    return Trained(
        task=loaded,
        config=config,
        metadata=record["metadata"],
        run_id=record["run_id"],
        path=path,
        folder=folder,
    )


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

    Raises:
        Mistake: This kind of data has no such argument.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    for key in given.keys() - trained.config["data"].keys():
        name = trained.config["choices"]["data"]
        raise Mistake(f"{key}={given[key]}: the data of this run ({name}) has no {key}; leave it out")
    return build.datamodule({**trained.config, "data": {**trained.config["data"], **given}})


def use_window(trained: Trained, *, window: int | None, window_overlap: float | None) -> None:
    """Let a network answer window by window, or for whole images, other than it was trained to.

    Args:
        trained: The network.
        window: Side of the window in pixels, 0 for whole images; None: as trained.
        window_overlap: Share of a window that the next one covers again, in [0, 1); None: as trained.

    Raises:
        Mistake: Its task knows no windows.
    """
    wanted: dict[str, int | float | None] = {"window": window, "window_overlap": window_overlap}
    for name, value in wanted.items():
        if value is None:
            continue
        if not hasattr(trained.task, name):
            of_task = trained.config["choices"]["task"]
            raise Mistake(f"{name}={value}: a network of task={of_task} knows no windows; leave {name}= out")
        for member in getattr(trained.task, "team", [trained.task]):
            setattr(member, name, value or None if name == "window" else value)


def use_tta(trained: Trained, name: str) -> Trained:
    """Let a network look at each image in several ways, and answer by all that it sees.

    Args:
        trained: The network.
        name: One of the names that its task has; `none` looks once.

    Returns:
        The network with data that show the images as large as that needs.

    Raises:
        ValueError: If its task has no such augmentation, or a mirrored image of these data is another one.
    """
    if name == "none":
        return trained
    task: Any = trained.task
    mirrors = trained.config["data"].get("horizontal_flip", 0.0) > 0
    task.use_tta(name, mirrors=mirrors)
    left_out = "" if mirrors else ", without mirror images (data.horizontal_flip=0)"
    console.print(f"tta={name}: each image is seen {len(task.looks)} times{left_out}")
    side = task.tta_side(name)
    if side is None:
        return trained
    return replace(trained, config={**trained.config, "data": _larger(trained.config["data"], side=side)})


def _larger(data: dict[str, Any], *, side: int) -> dict[str, Any]:
    """Data whose recipe for evaluation shows the central square of an image, so many pixels a side.

    A recipe that cuts its crop out of a larger picture would cut out the same part at more pixels; crops are
    to come from all of the square.
    """
    recipe = {
        name: {**step, **_whole(step, side=side)} if step else step
        for name, step in data["transforms"]["eval"].items()
    }
    return {**data, "image_size": side, "transforms": {**data["transforms"], "eval": recipe}}


def _whole(step: Mapping[str, Any], *, side: int) -> dict[str, Any]:
    """What changes of a step that resizes or crops."""
    sizes = {key: side for key in ("crop_size", "height", "width") if key in step}
    return {**sizes, "low": 1.0, "high": 1.0} if "crop_size" in step else sizes


def check_classes(trained: Trained, datamodule: Any) -> None:
    """Refuse data whose classes are not those that a network was trained with.

    Args:
        trained: The network.
        datamodule: The data, set up.

    Raises:
        Mistake: Its class names differ, so that every label would mean something else.
    """
    known: list[str] = trained.metadata.get("class_names", [])
    found: list[str] = datamodule.metadata.get("class_names", [])
    if known != found:
        raise Mistake(
            f"the data has {len(found)} classes ({', '.join(found[:5])}, ...), but run {trained.run_id[:8]} "
            f"was trained with {len(known)} ({', '.join(known[:5])}, ...); choose data with the same classes"
        )
