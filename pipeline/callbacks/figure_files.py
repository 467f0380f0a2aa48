"""What callbacks that draw figures have in common."""

import csv
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pytorch_lightning import LightningModule, Trainer

from pipeline import figures
from pipeline.history_file import HISTORY_FILE, read_history

FOLDER = "figures"
"""Of a run, and of its artefacts in loggers."""

EPOCHS = f"{FOLDER}/epochs"
"""What is drawn while a network learns."""

Part = TypeVar("Part")
Bytes = NDArray[np.uint8]


@runtime_checkable
class TakesFiles(Protocol):
    """A logger that keeps files."""

    def log_file(self, path: Path, folder: str = "") -> None:
        """Keep a file in a folder of the run's."""


@runtime_checkable
class TakesImages(Protocol):
    """A logger that keeps pictures by their step."""

    def log_image(self, path: Path, *, name: str, step: int) -> None:
        """Keep a picture of a series."""


def figures_folder(trainer: Trainer, name: str = FOLDER) -> Path:
    """A folder of the run, made where it is missing."""
    folder = Path(trainer.default_root_dir) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_drawn(path: Path, drawn: Figure | Bytes) -> None:
    """Write a figure, or a picture uint8 (H, W, 3), RGB, as it is: pixel for pixel, without axes."""
    if isinstance(drawn, Figure):
        drawn.savefig(path)
    else:
        cv2.imwrite(str(path), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))


def tell_loggers(trainer: Trainer, path: Path, folder: str = FOLDER) -> None:
    """Hand a file to all loggers that keep files."""
    for logger in trainer.loggers:
        if isinstance(logger, TakesFiles):
            logger.log_file(path, folder)


def tell_loggers_of_step(trainer: Trainer, path: Path, *, name: str, step: int) -> None:
    """Hand a picture of a series to all loggers: by its step where they know of steps, else as a file."""
    for logger in trainer.loggers:
        if isinstance(logger, TakesImages):
            logger.log_image(path, name=name, step=step)
        elif isinstance(logger, TakesFiles):
            logger.log_file(path, EPOCHS)


def tell_loggers_of_all(trainer: Trainer, folder: Path) -> None:
    """Hand the files of a folder to all loggers that keep files, in the order of their names."""
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        tell_loggers(trainer, path)


def learning_curves(
    trainer: Trainer, pl_module: LightningModule, *, chosen: Collection[str] = ()
) -> dict[str, Figure]:
    """The curves of the run by the name of their file; none where a run has no history.

    Args:
        trainer: Knows the run's folder.
        pl_module: Its `monitor` is drawn thicker.
        chosen: Measures that are drawn beside the losses; empty draws all.
    """
    rows = read_history(Path(trainer.default_root_dir) / HISTORY_FILE)
    if not rows:
        return {}
    drawn = [{name: row[name] for name in row if _is_drawn(name, chosen)} for row in rows]
    return {"learning_curves.png": figures.learning_curves(drawn, monitor=getattr(pl_module, "monitor", ""))}


def _is_drawn(name: str, chosen: Collection[str]) -> bool:
    return not chosen or "/" not in name or name.endswith("/loss") or name.partition("/")[2] in chosen


def write_per_class(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A line for each class; four figures of what is a share, nothing where it is unknown."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: str | int | float) -> str | int:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4f}"
    return value


def from_every_process(own: Part, trainer: Trainer) -> list[Part]:
    """What each process has, in their order; every process must call it."""
    if trainer.world_size == 1:
        return [own]
    everyone: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(everyone, own)
    return everyone
