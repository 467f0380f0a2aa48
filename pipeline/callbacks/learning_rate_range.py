"""Raises the learning rate from step to step and writes down the loss: the range test."""

import math
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

_FAR_ABOVE = 4.0  # times the best loss so far: it has diverged
_STEPS_TO_SETTLE = 5  # before which a loss that rises is noise


class LearningRateRange(Callback):
    """Give every step a rate of its own, rising by the same factor, until the loss diverges.

    Smith: Cyclical learning rates for training neural networks, 2017 (https://arxiv.org/abs/1506.01186),
    section 3.3, with rates that rise exponentially. The rate is that of `optimizer.lr`, and groups keep their
    shares of it. Of several processes the mean loss counts.

    Args:
        lowest: Rate of the first step, above 0.
        highest: Rate of the last one.
        steps: Optimiser steps, at least 2.
        smoothing: Weight of the past in the mean of the losses, in [0, 1).

    Attributes:
        rates: Of each step that was taken.
        losses: Mean loss of the batches of each step.
        smoothed: Exponential mean of the losses, corrected for its start at 0.
        diverged: Whether the test ended before its last step.
    """

    def __init__(self, *, lowest: float, highest: float, steps: int, smoothing: float) -> None:
        self.lowest, self.highest, self.steps, self.smoothing = lowest, highest, steps, smoothing
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.diverged = False
        self._shares: list[float] = []
        self._batches: list[float] = []
        self._mean = 0.0

    def rate(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        return float(self.lowest * (self.highest / self.lowest) ** (step / (self.steps - 1)))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember each group's share of `optimizer.lr`; that of a head may be above 1."""
        optimizer = trainer.optimizers[0]
        self._shares = [group["lr"] / optimizer.defaults["lr"] for group in optimizer.param_groups]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the rate of the step that this batch belongs to."""
        rate = self.rate(min(trainer.global_step, self.steps - 1))
        for group, share in zip(trainer.optimizers[0].param_groups, self._shares, strict=True):
            group["lr"] = rate * share

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss once a step is complete; end where it has diverged."""
        # Lightning has divided it by the number of batches that share a step.
        loss = outputs["loss"].detach().float().reshape(()) * trainer.accumulate_grad_batches
        self._batches.append(float(trainer.strategy.reduce(loss, reduce_op="mean")))
        if trainer.global_step > len(self.rates):
            self._note(sum(self._batches) / len(self._batches))
            self._batches = []
            trainer.should_stop = trainer.should_stop or self.diverged

    def _note(self, loss: float) -> None:
        self.rates.append(self.rate(len(self.rates)))
        self.losses.append(loss)
        self._mean = self.smoothing * self._mean + (1 - self.smoothing) * loss
        self.smoothed.append(self._mean / (1 - self.smoothing ** len(self.rates)))
        settled = len(self.rates) > _STEPS_TO_SETTLE
        self.diverged = not math.isfinite(loss) or (
            settled and self.smoothed[-1] > min(self.smoothed) * _FAR_ABOVE
        )


class StepsDone(Callback):
    """Tell a progress bar that another batch is done."""

    def __init__(self, advance: Any) -> None:
        self._advance = advance

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Another one."""
        self._advance(trainer.global_step)
