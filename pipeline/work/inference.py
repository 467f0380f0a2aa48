"""A trained network's answers for image files, batch by batch; a broken file does not stop the others."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.utilities.apply_func import move_data_to_device
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.work.loading import Trained, data_of


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a network says of a batch of files.

    Attributes:
        files: The files.
        errors: What is wrong with each of them; empty where nothing is. A broken file was a black picture.
        output: What the task's `predict_step` gave.
        batch: What it was given.
    """

    files: list[Path]
    errors: list[str]
    output: Any
    batch: Any


def device_named(accelerator: str) -> torch.device:
    """The device that a person means by `cpu`, `gpu`, `cuda` or `auto`.

    Raises:
        Mistake: A GPU is asked for, and there is none.
    """
    if accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator in ("gpu", "cuda"):
        raise Mistake(
            f"accelerator={accelerator}: this machine has no CUDA device; use accelerator=cpu or auto"
        )
    return torch.device("cpu")


def answers(
    trained: Trained,
    files: Sequence[Path],
    *,
    batch_size: int | None,
    num_workers: int,
    device: torch.device,
    doing: str,
    dataset: Dataset[Any] | None = None,
) -> Generator[Answer]:
    """Ask a network about files, in their order, with a progress bar.

    Args:
        trained: The network; its task is moved to the device.
        files: Image files.
        batch_size: Images at a time; None: as trained.
        num_workers: Processes that read images.
        device: Where to compute.
        doing: What stands before the progress bar.
        dataset: The files as the network is to see them; None: as it saw those it was measured with.
    """
    task: Any = trained.task.to(device)
    datamodule: Any = data_of(trained)
    loader: DataLoader[Any] = DataLoader(
        dataset or datamodule.predict_dataset(files),
        # Not through the data, which may want whole groups of an identity in a batch that trains.
        batch_size=batch_size or datamodule.batch_size,
        num_workers=num_workers,
        collate_fn=datamodule.collate,
    )
    for batch in track(loader, description=doing, console=console):
        with torch.inference_mode():
            output = task.predict_step(move_data_to_device(batch, device), 0)
        named = [files[place] for place in batch["index"].tolist()]
        yield Answer(files=named, errors=batch["error"], output=output, batch=batch)
