"""The mean of the weights at the ends of epochs: stochastic weight averaging."""

import itertools
import sys
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from pipeline.callbacks.weight_average import WeightAverage
from pipeline.callbacks.weight_average_statistics import recompute


class EpochAverage(WeightAverage):
    """The mean of the weights at the ends of epochs, from one epoch on, at a learning rate that keeps moving.

    Izmailov and others: Averaging weights leads to wider optima and better generalization, 2018
    (https://arxiv.org/abs/1803.05407). The batch-norm statistics of the mean are those of no epoch: they
    are measured, in one pass over the training data as augmented, after every epoch that is taken in.
    The rate in a cycle of c steps is (1 - t) lr + t min_lr with t = (i mod c + 1) / c (their section 3.2).

    Args:
        start: See `WeightAverage`.
        lr: The learning rate from then on, of a group with a rate of its own in proportion; None leaves it
            to the schedule.
        min_lr: Where the rate falls to in each cycle; None keeps it constant.
        cycle_epochs: Length of a cycle, at least 1; weights are taken at its end.
    """

    def __init__(
        self,
        *,
        start: int | float = 0.75,
        lr: float | None = None,
        min_lr: float | None = None,
        cycle_epochs: int = 1,
    ) -> None:
        super().__init__(start=start)
        self.lr = lr
        self.min_lr = min_lr
        self.cycle_epochs = cycle_epochs

    def is_due(self, trainer: Trainer) -> bool:
        """The last step of a cycle is; validation follows it and measures the new mean."""
        epochs = trainer.current_epoch - self.first_epoch(trainer) + 1
        is_last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        return is_last and epochs % self.cycle_epochs == 0

    def blend(self, averages: list[Tensor], weights: list[Tensor]) -> None:
        """One more state, which counts like each of those before."""
        torch._foreach_lerp_(averages, weights, 1 / (self.updates + 1))

    def update(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the weights in, and measure the statistics of the new mean."""
        super().update(trainer, pl_module)
        if self.updates > 1:  # of one state they are its own
            self.swap()
            recompute(
                pl_module,
                _one_epoch(trainer),
                to_device=trainer.strategy.batch_to_device,
                reduce=_mean_over_processes(trainer),
            )
            self.swap()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember the proportions between the rates of parameter groups; they travel with the optimiser."""
        super().on_train_start(trainer, pl_module)
        for group in _groups(trainer):
            group.setdefault("initial_lr", group["lr"])

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the rate of this step."""
        self._set_rate(trainer, batch_idx)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Set it again, after the schedule, so that the history shows it; then average."""
        self._set_rate(trainer, batch_idx)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def _set_rate(self, trainer: Trainer, batch_idx: int) -> None:
        epochs = trainer.current_epoch - self.first_epoch(trainer)
        if self.lr is None or epochs < 0:
            return
        rate = self.rate(epochs * int(trainer.num_training_batches) + batch_idx, trainer=trainer)
        for group in _groups(trainer):
            group["lr"] = rate * group["initial_lr"] / trainer.optimizers[0].defaults["lr"]

    def rate(self, step: int, *, trainer: Trainer) -> float:
        """The learning rate of a step that is counted from the first averaged epoch."""
        assert self.lr is not None
        if self.min_lr is None:
            return self.lr
        steps = self.cycle_epochs * int(trainer.num_training_batches)
        share = (step % steps + 1) / steps
        return (1 - share) * self.lr + share * self.min_lr


def _groups(trainer: Trainer) -> list[dict[str, Any]]:
    return [group for optimizer in trainer.optimizers for group in optimizer.param_groups]


def _one_epoch(trainer: Trainer) -> Any:
    """This epoch's training batches once more, whole."""
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    # Of an epoch that was resumed in its middle, the beginning too.
    datamodule.resume(epoch=trainer.current_epoch, batches=0)
    count = int(min(trainer.num_training_batches, sys.maxsize))
    return itertools.islice(datamodule.train_dataloader(), count)


def _mean_over_processes(trainer: Trainer) -> Any:
    if trainer.world_size == 1:
        return None
    return lambda tensor: trainer.strategy.reduce(tensor, reduce_op="mean")
