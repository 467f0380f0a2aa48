"""Looks for the largest batch that fits into memory, before a run and apart from it."""

import copy
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.utilities.memory import is_oom_error

from pipeline import build, meeting
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.work.memory import HostMemory, gradients_of_others, headroom, let_go, tightest_device
from pipeline.work.preparing import Speed, prepared

Config = dict[str, Any]

_SAID = "batch_size"  # what the first process tells the others

_FINENESS = 8  # a batch is found to within an eighth of its size

# A short look at training and validation instead of a run; the optimiser has its state after the first step.
_TRIAL: Config = {
    "num_nodes": 1,
    "strategy": "auto",
    "max_epochs": 1,
    "min_epochs": None,
    "max_steps": -1,
    "min_steps": None,
    "max_time": None,
    "fast_dev_run": False,
    "limit_train_batches": 2,
    "limit_val_batches": 1,
    "overfit_batches": 0.0,
    "val_check_interval": None,
    "check_val_every_n_epoch": 1,
    "num_sanity_val_steps": 0,
    "accumulate_grad_batches": 1,
    "enable_progress_bar": False,
    "profiler": None,
    "sync_batchnorm": False,
}


def with_largest_batch(composed: Composed, *, seed: int, speed: Speed) -> Config:
    """The configuration with the largest multiple of `data.batch_size` that fits; it is told, too.

    Everything is tried on a task and data of its own, so that the run is the one that the number by itself
    would be. Of several processes the one that starts the others looks, on the GPU with least free memory,
    and the others take what it found.

    Args:
        composed: The verb's configuration.
        seed: Where everything random starts.
        speed: How the network is prepared; it is not compiled while sizes are tried.

    Raises:
        Mistake: A picture is painted, which has no batches, or not even a batch of one fits.
    """
    config = copy.deepcopy(composed.config)
    if meeting.leads():
        found = _look(composed, seed=seed, speed=replace(speed, compiles=False))
        meeting.tell(_SAID, {"found": found})
    config["data"]["batch_size"] = meeting.learn(_SAID)["found"]
    return config


def largest(fits: Callable[[int], bool], *, start: int, most: int) -> int:
    """The largest size that fits: doubled until one does not, then closed in on by halves.

    Args:
        fits: Whether a size does.
        start: The first size, and above it the unit: only its multiples are tried, since data may need whole
            groups in a batch. Below it, its halves.
        most: The largest size that makes sense.

    Returns:
        The size, to within an eighth of it or one unit; 0 where not even 1 fits.
    """
    if not fits(start):
        return next((start >> halved for halved in range(1, start.bit_length()) if fits(start >> halved)), 0)
    size = start
    while size * 2 <= most and fits(size * 2):
        size *= 2
    beyond = min(size * 2, most + 1)
    while beyond - size > size // _FINENESS:
        middle = (size + beyond) // 2 // start * start
        if middle == size:
            break
        size, beyond = (middle, beyond) if fits(middle) else (size, middle)
    return size


def _look(composed: Composed, *, seed: int, speed: Speed) -> int:
    config, datamodule, task = prepared(composed, seed=seed)
    _refuse_one_picture(datamodule)
    planned = build.trainer(config, folder=composed.root, callbacks=[], logger=None)
    speed.arrange(task, trainer=planned)
    images = datamodule.summary()["sizes"]["train"]  # type: ignore[attr-defined]
    start = config["data"]["batch_size"]
    with tempfile.TemporaryDirectory() as folder:
        trials = _Trials(
            config=config, datamodule=datamodule, task=task, planned=planned, folder=Path(folder)
        )
        with headroom(trials.device):
            found = largest(trials.fits, start=start, most=max(start, images // planned.world_size))
    if not found:
        raise Mistake(
            f"batch_size_finder=true: not even one image fits into the memory of {trials.device}; choose a "
            "smaller model or smaller images, or trainer.precision=auto"
        )
    _tell(found, config=config)
    return found


def _refuse_one_picture(datamodule: LightningDataModule) -> None:
    if datamodule.metadata.get("content_size") is not None:  # type: ignore[attr-defined]
        raise Mistake("batch_size_finder=true: what is painted is one picture, without batches; leave it out")


class _Trials:
    """Trains a few steps at one size after another, and says whether memory was enough."""

    def __init__(
        self,
        *,
        config: Config,
        datamodule: LightningDataModule,
        task: LightningModule,
        planned: Trainer,
        folder: Path,
    ) -> None:
        self.config, self.datamodule, self.task, self.folder = config, datamodule, task, folder
        self.start = config["data"]["batch_size"]
        self.processes = planned.num_devices
        self.device = tightest_device(planned)
        self.memory = HostMemory(processes=self.processes)

    def fits(self, size: int) -> bool:
        """Whether training and validation with batches of this size ran."""
        if self.device.type == "cpu" and not self.memory.has_room(size):
            return False
        try:
            with (
                console.status(f"looking for the largest batch: {size}"),
                gradients_of_others(self.task, processes=self.processes, device=self.device),
            ):
                self._run(size)
        except (RuntimeError, MemoryError, ValueError) as error:
            if not self._says_that_it_does_not_fit(error, size):
                raise
            return False
        finally:
            let_go(self.task, device=self.device)
        self.memory.ran(size)
        return True

    def _says_that_it_does_not_fit(self, error: Exception, size: int) -> bool:
        if isinstance(error, ValueError):
            # Of data that cannot make a batch of another size than was asked for: identities run out.
            return bool(size != self.start)
        return isinstance(error, MemoryError) or bool(is_oom_error(error))

    def _run(self, size: int) -> None:
        self.datamodule.use_batch_size(size)  # type: ignore[attr-defined]
        devices = [self.device.index] if self.device.type == "cuda" else 1
        node = {**self.config["trainer"], **_TRIAL, "devices": devices}
        trainer = build.trainer({"trainer": node}, folder=self.folder, callbacks=[], logger=None)
        trainer.fit(self.task, datamodule=self.datamodule)


def _tell(found: int, *, config: Config) -> None:
    """The size, and that the learning rate was chosen for another one."""
    before, rate = config["data"]["batch_size"], config["optimizer"]["lr"]
    console.print(f"batch_size_finder: data.batch_size={found} is the largest that fits", soft_wrap=True)
    if found != before:
        by = found / before
        console.print(
            f"  optimizer.lr={rate:g} was chosen for {before} and stays; in proportion it would be "
            f"{rate * by:.3g} (usual for sgd), by the square root {rate * by**0.5:.3g} (for adam, adamw)",
            soft_wrap=True,
        )
