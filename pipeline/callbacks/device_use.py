"""How fast a run trained, and how much memory it needed."""

import time
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from pipeline.work.memory import peak_of_process


class DeviceUse(Callback):
    """Measures images per second and the peak of memory; it changes nothing and logs nothing.

    What counts is the time from the end of one training batch to the end of the next of the same epoch,
    without validation between them: the first batch of an epoch waits for what is not training (workers that
    start, a compiler). So an epoch of a single batch has no speed.

    Attributes:
        images: Training images that were timed, over all processes.
        seconds: That they took.
        peak_memory: Bytes, the most of any process: of tensors on a GPU, of the whole process on a CPU, which
            also counts what it needed before training. 0 until training has ended.
    """

    def __init__(self) -> None:
        self.images = 0
        self.seconds = 0.0
        self.peak_memory = 0
        self._since: float | None = None

    @property
    def images_per_second(self) -> float | None:
        """Of training, over all processes; None where nothing could be timed."""
        return self.images / self.seconds if self.seconds > 0 else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what the GPU held before."""
        if pl_module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The next batch is the first."""
        self._since = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validation is no training."""
        self._since = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the images of this batch."""
        now = time.perf_counter()
        if self._since is not None:
            self.images += len(batch["image"]) * trainer.world_size
            self.seconds += now - self._since
        self._since = now

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the process that needed most memory."""
        own = torch.tensor(float(_peak(pl_module.device)), device=pl_module.device)
        self.peak_memory = int(trainer.strategy.reduce(own, reduce_op="max"))


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_of_process()
