"""What callbacks that draw figures have in common."""

from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from pytorch_lightning import Trainer

FOLDER = "figures"
"""Of a run, and of its artefacts in loggers."""

Part = TypeVar("Part")


@runtime_checkable
class TakesFiles(Protocol):
    """A logger that keeps files."""

    def log_file(self, path: Path, folder: str = "") -> None:
        """Keep a file in a folder of the run's."""


def figures_folder(trainer: Trainer, name: str = FOLDER) -> Path:
    """A folder of the run, made where it is missing."""
    folder = Path(trainer.default_root_dir) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def tell_loggers(trainer: Trainer, path: Path, folder: str = FOLDER) -> None:
    """Hand a file to all loggers that keep files."""
    for logger in trainer.loggers:
        if isinstance(logger, TakesFiles):
            logger.log_file(path, folder)


def from_every_process(own: Part, trainer: Trainer) -> list[Part]:
    """What each process has, in their order; every process must call it."""
    if trainer.world_size == 1:
        return [own]
    everyone: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(everyone, own)
    return everyone
