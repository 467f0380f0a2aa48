"""Learning-rate schedules: how the rates of all parameter groups move during training.

Every builder takes an optimiser and a ``Horizon`` and returns what Lightning's
``configure_optimizers`` wants. All but ``plateau`` move after every optimiser step; epochs may be
fractions. All carry their state in a checkpoint.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pytorch_lightning.utilities.types import LRSchedulerConfigType
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

Schedulers = list[LRSchedulerConfigType]
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """How long training lasts, and what it is judged by.

    Attributes:
        steps_per_epoch: Optimiser steps in an epoch, at least 1.
        batches_per_epoch: Batches in an epoch; more than steps where gradients are accumulated.
        total_steps: Optimiser steps of the whole training; None if only a clock ends it.
        monitor: Name of the logged measure that ``plateau`` watches.
        mode: Whether a larger or a smaller measure is better.
    """

    steps_per_epoch: int
    batches_per_epoch: int
    total_steps: int | None
    monitor: str
    mode: Literal["max", "min"]


def constant(optimizer: Optimizer, horizon: Horizon, *, warmup_epochs: float = 0.0) -> Schedulers:
    """Keep the learning rate as it is.

    Args:
        optimizer: Holds the learning rate of each parameter group.
        horizon: Length of the training.
        warmup_epochs: The rate rises in equal steps during so many epochs, at least 0.

    Raises:
        ValueError: If ``warmup_epochs`` is negative.
    """
    unchanged = ConstantLR(optimizer, factor=1.0, total_iters=0)
    return _every_step(_with_warmup(optimizer, unchanged, _warmup_steps(warmup_epochs, horizon)))


def step(
    optimizer: Optimizer,
    horizon: Horizon,
    *,
    every_epochs: float = 30.0,
    factor: float = 0.1,
    warmup_epochs: float = 0.0,
) -> Schedulers:
    """Multiply the learning rate by a factor at regular intervals.

    Args:
        optimizer: Holds the learning rate of each parameter group.
        horizon: Length of the training.
        every_epochs: Interval, counted from the start of training, above 0.
        factor: In (0, 1].
        warmup_epochs: See ``constant``.

    Raises:
        ValueError: If ``every_epochs`` is not above 0, or ``warmup_epochs`` is negative.
    """
    if every_epochs <= 0:
        raise ValueError(f"scheduler.every_epochs={every_epochs} must be above 0")
    interval = max(1, round(every_epochs * horizon.steps_per_epoch))
    decay = StepLR(optimizer, step_size=interval, gamma=factor)
    return _every_step(_with_warmup(optimizer, decay, _warmup_steps(warmup_epochs, horizon)))


def multistep(
    optimizer: Optimizer,
    horizon: Horizon,
    *,
    milestones: Sequence[float],
    factor: float = 0.1,
    warmup_epochs: float = 0.0,
) -> Schedulers:
    """Multiply the learning rate by a factor at given epochs.

    Args:
        optimizer: Holds the learning rate of each parameter group.
        horizon: Length of the training.
        milestones: Epochs, counted from the start of training.
        factor: In (0, 1].
        warmup_epochs: See ``constant``.

    Raises:
        ValueError: If ``warmup_epochs`` is negative.
    """
    steps = [round(epoch * horizon.steps_per_epoch) for epoch in sorted(milestones)]
    decay = MultiStepLR(optimizer, milestones=steps, gamma=factor)
    return _every_step(_with_warmup(optimizer, decay, _warmup_steps(warmup_epochs, horizon)))


def exponential(
    optimizer: Optimizer, horizon: Horizon, *, factor: float = 0.95, warmup_epochs: float = 0.0
) -> Schedulers:
    """Multiply the learning rate by a factor in every epoch, spread evenly over its steps.

    Args:
        optimizer: Holds the learning rate of each parameter group.
        horizon: Length of the training.
        factor: Per epoch, in (0, 1].
        warmup_epochs: See ``constant``.

    Raises:
        ValueError: If ``warmup_epochs`` is negative.
    """
    decay = ExponentialLR(optimizer, gamma=factor ** (1 / horizon.steps_per_epoch))
    return _every_step(_with_warmup(optimizer, decay, _warmup_steps(warmup_epochs, horizon)))


def cosine(
    optimizer: Optimizer, horizon: Horizon, *, warmup_epochs: float = 0.0, final_factor: float = 0.0
) -> Schedulers:
    """Let the learning rate fall along half a cosine, from the end of the warm-up to the last step.

    Loshchilov, Hutter: SGDR, 2016, equation 5 without restarts (https://arxiv.org/abs/1608.03983).

    Args:
        optimizer: Holds the learning rate of each parameter group.
        horizon: Length of the training.
        warmup_epochs: See ``constant``.
        final_factor: Share of the rate that is left at the end, in [0, 1].

    Raises:
        ValueError: If ``warmup_epochs`` is negative, or the training has no known end.
    """
    warmup_steps = _warmup_steps(warmup_epochs, horizon)
    fall_steps = _total_steps(horizon, schedule="cosine") - warmup_steps

    def share(step: int) -> float:
        progress = min(1.0, step / fall_steps)
        return final_factor + (1 - final_factor) * (1 + math.cos(math.pi * progress)) / 2

    # Not CosineAnnealingLR: its floor is one absolute rate for all groups, a head's included.
    fall = LambdaLR(optimizer, share)
    if warmup_steps == 0:
        return _every_step(fall)
    return _every_step(SequentialLR(optimizer, [_rise(optimizer, warmup_steps), fall], [warmup_steps]))


def one_cycle(
    optimizer: Optimizer,
    horizon: Horizon,
    *,
    warmup_epochs: float | None = None,
    start_factor: float = 0.04,
    final_factor: float = 4e-6,
    cycle_momentum: bool = False,
) -> Schedulers:
    """Let the learning rate rise to the optimiser's and fall to almost nothing, along half cosines.

    Smith, Topin: Super-convergence, 2017 (https://arxiv.org/abs/1708.07120), in two phases.

    Args:
        optimizer: Holds the highest learning rate of each parameter group.
        horizon: Length of the training.
        warmup_epochs: Length of the rise; None for 30 % of the training.
        start_factor: Share of the rate at the first step, in (0, 1].
        final_factor: Share of the rate at the last step, in (0, 1].
        cycle_momentum: Move the momentum from 0.95 to 0.85 and back; only for optimisers that have one.

    Raises:
        ValueError: If ``warmup_epochs`` is negative, the training has no known end, or the optimiser
            has no momentum to cycle.
    """
    total_steps = _total_steps(horizon, schedule="one_cycle")
    rise = 0.3 if warmup_epochs is None else _warmup_steps(warmup_epochs, horizon) / total_steps
    cycle = OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=total_steps,
        pct_start=rise,
        div_factor=1 / start_factor,
        final_div_factor=start_factor / final_factor,
        cycle_momentum=cycle_momentum,
    )
    return _every_step(cycle)


def plateau(
    optimizer: Optimizer,
    horizon: Horizon,
    *,
    factor: float = 0.1,
    patience: int = 5,
    min_lr: float = 0.0,
    warmup_epochs: float = 0.0,
) -> Schedulers:
    """Multiply the learning rate by a factor when the monitored measure stops getting better.

    Args:
        optimizer: Holds the learning rate of each parameter group.
        horizon: Names the measure.
        factor: In (0, 1).
        patience: Epochs without a better value that are waited for, at least 0.
        min_lr: No group falls below it.
        warmup_epochs: See ``constant``; epochs of the warm-up are not held against the measure.

    Raises:
        ValueError: If ``warmup_epochs`` is negative, or ``factor`` is not below 1.
    """
    warmup_steps = _warmup_steps(warmup_epochs, horizon)
    reduce = ReduceLROnPlateau(optimizer, horizon.mode, factor=factor, patience=patience, min_lr=min_lr)
    reduce.cooldown_counter = math.ceil(warmup_steps / horizon.steps_per_epoch)
    # At the last batch of an epoch, not at its end: Lightning leaves out the latter in the first epoch
    # after a run was resumed, and a checkpoint of the epoch's end would not know of it.
    watch = LRSchedulerConfigType(
        scheduler=reduce,
        interval="step",
        frequency=horizon.batches_per_epoch,
        monitor=horizon.monitor,
        reduce_on_plateau=True,
    )
    return [*_every_step(_rise(optimizer, warmup_steps)), watch] if warmup_steps else [watch]


def _every_step(scheduler: LRScheduler) -> Schedulers:
    return [LRSchedulerConfigType(scheduler=scheduler, interval="step")]


def _with_warmup(optimizer: Optimizer, scheduler: LRScheduler, warmup_steps: int) -> LRScheduler:
    """Multiply the rates of a schedule that only ever multiplies by a rise at the start."""
    if warmup_steps == 0:
        return scheduler
    return ChainedScheduler([scheduler, _rise(optimizer, warmup_steps)], optimizer)


def _rise(optimizer: Optimizer, steps: int) -> LinearLR:
    """Equal steps from 1 / (steps + 1) of the rate to all of it."""
    return LinearLR(optimizer, start_factor=1 / (steps + 1), end_factor=1.0, total_iters=steps)


def _total_steps(horizon: Horizon, *, schedule: str) -> int:
    if horizon.total_steps is None:
        raise ValueError(
            f"scheduler={schedule} must know when training ends, but trainer.max_epochs=-1 and "
            "trainer.max_steps=-1; set one of them or choose scheduler=constant"
        )
    return horizon.total_steps


def _warmup_steps(warmup_epochs: float, horizon: Horizon) -> int:
    """Steps of the warm-up; a warm-up that would be all of a short training is cut to half of it."""
    if warmup_epochs < 0:
        raise ValueError(f"scheduler.warmup_epochs={warmup_epochs} must not be negative")
    steps = round(warmup_epochs * horizon.steps_per_epoch)
    if horizon.total_steps is None or steps < horizon.total_steps:
        return steps
    half = horizon.total_steps // 2
    log.warning("scheduler.warmup_epochs=%s is all of the training; %d steps instead", warmup_epochs, half)
    return half
