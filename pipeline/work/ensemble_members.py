"""The networks of an ensemble: loaded, compared, joined, and measured one by one."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning_fabric.utilities.apply_func import move_data_to_device
from pytorch_lightning.loggers import Logger

from pipeline import checkpoints
from pipeline.joining import check_alike, is_file
from pipeline.work.loading import Trained, load_trained
from pipeline.work.measuring import measuring_trainer, plain, settings_here

Measures = dict[str, float]

_TIMED = 10  # batches


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is known of a network after it was measured.

    Attributes:
        measures: By name, such as `val/top1` and `test/top1`.
        validation: What it said of each validation image.
        test: What it said of each test image.
        seconds: Time for one image; see `seconds_per_image`.
    """

    measures: Measures
    validation: Any
    test: Any
    seconds: float


def load_members(*, root: Path, names: Sequence[str]) -> list[Trained]:
    """Load the networks that are to be joined.

    Args:
        root: The project's root folder.
        names: Of each a whole run id, or the path of a checkpoint.

    Raises:
        Mistake: One is not there, is an ensemble itself, or cannot be joined with the first.
    """
    found: list[Trained] = []
    for name in names:
        checkpoint = name if is_file(name) else None
        found.append(load_trained(root=root, run=name, checkpoint=checkpoint, task=None))
    for trained, name in zip(found, names, strict=True):
        if len(trained.task.team) > 1:  # type: ignore[arg-type]
            raise ValueError(f"{name} is an ensemble itself; name its members instead")
    check_alike({label: trained.config for label, trained in zip(labels(found), found, strict=True)})
    return found


def labels(members: Sequence[Trained]) -> list[str]:
    """A short name for each that no other has: of the run, and of the checkpoint where a run has several."""
    runs = Counter(member.run_id for member in members)
    return [
        member.run_id[:8] if runs[member.run_id] == 1 else f"{member.run_id[:8]} {member.path.stem}"
        for member in members
    ]


def joined(members: Sequence[Trained], *, fusion: str | None, weights: Sequence[float] | None) -> Any:
    """One task of all members, while each can still answer by itself.

    Args:
        members: At least two.
        fusion: How answers become one; None: the task's own choice.
        weights: Of each; None: all alike.

    Raises:
        ValueError: They cannot be joined, or not in this way.
    """
    lead: Any = checkpoints.load_task(checkpoints.read(members[0].path), path=members[0].path)
    lead.join([member.task for member in members[1:]], fusion=fusion, weights=weights)
    return lead.eval()


def measured(
    task: Any,
    datamodule: Any,
    *,
    config: dict[str, Any],
    accelerator: str,
    folder: Path,
    watching: Sequence[str] = ("progress",),
    logger: Logger | None = None,
) -> Measured:
    """Measure a network on validation and test.

    Args:
        task: Of one network, or of several.
        datamodule: The data, set up.
        config: Whose trainer and callbacks are taken.
        accelerator: Lightning's name of the device.
        folder: Where figures go.
        watching: Names of callbacks that look on.
        logger: What is told of the measures.
    """
    settings = settings_here(config, accelerator=accelerator)
    trainer = measuring_trainer(config, folder=folder, settings=settings, watching=watching, logger=logger)
    task.keeps_records = True
    measures = plain(trainer.validate(task, datamodule=datamodule, verbose=False))
    validation = task.records()
    measures |= plain(trainer.test(task, datamodule=datamodule, verbose=False))
    test = task.records()
    task.keeps_records = False
    # A task that is one picture answers for no other images.
    is_one_picture = datamodule.metadata.get("content_size") is not None
    batches = [] if is_one_picture else datamodule.test_dataloader()
    seconds = seconds_per_image(task, batches, device=trainer.strategy.root_device)
    return Measured(measures=measures, validation=validation, test=test, seconds=seconds)


def seconds_per_image(task: Any, batches: Iterable[Any], *, device: torch.device) -> float:
    """How long a network takes to answer, by the median of a few batches; the first one warms it up.

    Reading images and computing measures are not part of it.

    Args:
        task: Of one network, or of several.
        batches: Of images.
        device: Where to compute; the task is back on the CPU afterwards.

    Returns:
        nan without batches.
    """
    task.to(device).eval()
    found = []
    for batch in islice(batches, 1 + _TIMED):
        moved = move_data_to_device(batch, device)
        _wait_for(device)
        started = time.perf_counter()
        with torch.inference_mode():
            task.predict_step(moved, 0)
        _wait_for(device)
        found.append((time.perf_counter() - started) / len(batch["image"]))
    task.to("cpu")
    return median(found[1:] or found or [float("nan")])


def _wait_for(device: torch.device) -> None:
    """A GPU goes on computing after it has been told what to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
