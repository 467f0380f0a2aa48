"""Finds and reads the weights of a run."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule

from pipeline import build
from pipeline.errors import Mistake
from pipeline.runs import Run


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a checkpoint's training had come.

    Attributes:
        epoch: The epoch in which it was saved, counted from 0.
        batches: Batches of that epoch already trained on.
    """

    epoch: int
    batches: int


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running any code that may be in it.

    Args:
        path: A file that a run of this project saved.

    Raises:
        Mistake: The file is missing, damaged, or not of this project.
    """
    checkpoint = read_plain(path)
    if "pipeline" not in checkpoint:
        raise Mistake(
            f"checkpoint={path} was not saved by a run of this project; give one from a run's checkpoints/"
        )
    return checkpoint


def read_plain(path: Path) -> dict[str, Any]:
    """Read any Lightning checkpoint; see `read`."""
    if not path.is_file():
        raise Mistake(f"checkpoint={path}: there is no such file")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise Mistake(
            f"checkpoint={path} cannot be read: it is damaged, or no checkpoint, or holds more than plain "
            "values and tensors; give a file from a run's checkpoints/"
        ) from error
    if not isinstance(checkpoint, dict):
        raise Mistake(f"checkpoint={path} holds no dictionary; give a file from a run's checkpoints/")
    return checkpoint


def progress(checkpoint: dict[str, Any]) -> Progress:
    """Where in its training a checkpoint was saved."""
    loop = checkpoint["loops"]["fit_loop"]
    epochs = loop["epoch_progress"]["current"]
    # Between two epochs the count of batches is still that of the epoch that ended.
    is_inside = epochs["started"] > epochs["processed"]
    batches = loop["epoch_loop.batch_progress"]["current"]["processed"]
    return Progress(epoch=epochs["processed"], batches=batches if is_inside else 0)


def kept(run: Run) -> Path:
    """The checkpoint that a run's results were measured on: its best, or its last where it never got there.

    Args:
        run: A run on disk.

    Raises:
        Mistake: The run saved no checkpoint.
    """
    named = run.facts.get("checkpoint")
    folder = run.folder / "checkpoints"
    candidates = [run.folder / named] if named else []
    candidates += [*_best_so_far(folder / "last.ckpt"), folder / "last.ckpt"]
    found: Path | None = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise Mistake(
            f"run={run.run_id[:8]} saved no checkpoint: it ended before its first epoch, or was told "
            "to keep none (callbacks=none, one batch only)"
        )
    return found


def _best_so_far(last: Path) -> list[Path]:
    if not last.is_file():
        return []
    states = read(last).get("callbacks", {}).values()
    best = [state["best_model_path"] for state in states if "best_model_path" in state]
    return [last.parent / Path(path).name for path in best if path]


def load_task(checkpoint: dict[str, Any], *, path: Path) -> LightningModule:
    """Build the task that a checkpoint holds, or all of an ensemble, with its weights, without its data.

    Args:
        checkpoint: From `read`.
        path: Its file, for messages.

    Raises:
        Mistake: The weights do not fit the network that the checkpoint's own configuration describes.
    """
    record = checkpoint["pipeline"]
    task: Any = _built(record)
    if "ensemble" in record:
        made = record["ensemble"]
        others = [_built(member) for member in made["members"][1:]]
        task.join(others, fusion=made["fusion"], weights=made["weights"])
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[1].strip()
        raise Mistake(
            f"checkpoint={path} does not fit model={record['config']['choices']['model']}: {reason}"
        ) from error
    assert isinstance(task, LightningModule)
    return task.eval()


def _built(record: dict[str, Any]) -> LightningModule:
    """A task as its record describes it; the weights of its model come from the checkpoint."""
    config = {**record["config"], "model": build.without_weights(record["config"]["model"])}
    return build.task(config, record["metadata"])
