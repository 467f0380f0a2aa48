"""What every task shares: optimiser, schedule, preprocessing, and names of measures."""

import math
import sys
from collections.abc import Callable, Collection
from typing import Literal, TypedDict

import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric

from lightning_modules.counting import count_multiply_adds
from lightning_modules.ensembling import EnsembleModule
from lightning_modules.models.freeze import keep_frozen_in_eval
from lightning_modules.parameter_groups import (
    OptimizerFactory,
    build_optimizer,
    not_decayed,
    parameter_groups,
)
from lightning_modules.preprocessing import Normalise
from lightning_modules.schedules import Horizon, Schedulers

Stage = Literal["train", "val", "test"]
STAGES: tuple[Stage, ...] = ("train", "val", "test")
SchedulerFactory = Callable[[Optimizer, Horizon], Schedulers]


class ImageMetadata(TypedDict):
    """What every task must know of its data; each task's own metadata has more.

    Attributes:
        image_size: Side of the square images a network sees, in pixels.
        channels: 1 for grey data (images still arrive as RGB), 3 for colour.
        mean: Mean of each channel of images in [0, 1].
        std: Standard deviation of each channel, above 0.
    """

    image_size: int
    channels: int
    mean: list[float]
    std: list[float]


class Facts(TypedDict):
    """Size of a network, and its cost for one image; None where it cannot be counted."""

    parameters: int
    trainable_parameters: int
    multiply_adds: int | None


class TaskModule(EnsembleModule):
    """A model, how it is optimised, and how its measures are named.

    Args:
        model: The network.
        optimizer: Takes parameter groups; everything else is set.
        scheduler: Takes an optimiser and a horizon, see ``schedules``; None for a constant rate.
        metadata: Of the data.
        monitor: The measure by which training is judged, such as ``val/top1``.
        mode: Whether a larger or a smaller value of it is better.
        decay_bias_and_norm: Apply weight decay to biases and norms, too.
        head_lr_factor: Learning rate of the head, as a multiple of the body's.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None,
        metadata: ImageMetadata,
        monitor: str,
        mode: Literal["max", "min"],
        decay_bias_and_norm: bool,
        head_lr_factor: float,
    ) -> None:
        super().__init__()
        if mode not in ("max", "min"):
            raise ValueError(f"task.mode={mode} is not one of max, min")
        self.model = model
        self.optimizer_factory = optimizer
        self.scheduler_factory = scheduler
        self.image_size, self.channels = metadata["image_size"], metadata["channels"]
        self.monitor = monitor
        self.mode = mode
        self.decay_bias_and_norm = decay_bias_and_norm
        self.not_decayed = not_decayed(model)
        self.head_lr_factor = head_lr_factor
        self.normalise = Normalise(channels=self.channels, mean=metadata["mean"], std=metadata["std"])

    def head_parameters(self) -> Collection[str]:
        """Dotted names of the parameters of ``self.model`` that learn at the rate of the head."""
        return ()

    def compiled_part(self) -> nn.Module:
        """What torch.compile is good for: the part of the network that does the same for every batch."""
        return self.model

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimiser with named parameter groups, and its schedule."""
        groups = parameter_groups(
            self.model,
            head=self.head_parameters(),
            decay_bias_and_norm=self.decay_bias_and_norm,
            exempt=self.not_decayed,
        )
        optimizer = build_optimizer(self.optimizer_factory, groups, head_lr_factor=self.head_lr_factor)
        if self.scheduler_factory is None:
            return optimizer
        schedulers = self.scheduler_factory(optimizer, self.horizon())
        return [optimizer], schedulers  # type: ignore[return-value]  # Lightning takes dicts, too

    def horizon(self) -> Horizon:
        """Length of the training that the trainer is about to do, in optimiser steps."""
        trainer = self.trainer
        total_steps = trainer.estimated_stepping_batches
        trainer.fit_loop.setup_data()  # does nothing the second time; not called above if only steps count
        steps_per_epoch = trainer.num_training_batches / trainer.accumulate_grad_batches
        return Horizon(
            steps_per_epoch=max(1, math.ceil(steps_per_epoch)),
            batches_per_epoch=max(1, int(min(trainer.num_training_batches, sys.maxsize))),
            total_steps=None if math.isinf(total_steps) else max(1, int(total_steps)),
            monitor=self.monitor,
            mode=self.mode,
        )

    def train(self, mode: bool = True) -> "TaskModule":
        """Change the mode of everything that is not frozen."""
        super().train(mode)
        keep_frozen_in_eval(self.model)
        return self

    def log_measure(self, stage: Stage, name: str, measure: Metric, *, batch_size: int) -> None:
        """Report a measure of the whole epoch as ``{stage}/{name}``."""
        self.log(f"{stage}/{name}", measure, on_step=False, on_epoch=True, batch_size=batch_size)

    def example_input(self) -> Tensor:
        """A normalised input for the network, (1, channels, image_size, image_size), on its device."""
        return torch.zeros(1, self.channels, self.image_size, self.image_size, device=self.device)

    def facts(self) -> Facts:
        """Size of the network, or of all of an ensemble, and its cost for one image that is seen once."""
        models = [member.model for member in self.team]
        sizes = [(each.numel(), each.requires_grad) for model in models for each in model.parameters()]
        costs = [count_multiply_adds(member.model, member.example_input()) for member in self.team]
        return Facts(
            parameters=sum(size for size, _ in sizes),
            trainable_parameters=sum(size for size, trainable in sizes if trainable),
            multiply_adds=None if None in costs else sum(cost for cost in costs if cost is not None),
        )
