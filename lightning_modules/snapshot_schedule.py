"""A learning rate that falls to nothing several times: each time the network is worth keeping."""

import logging
import math
from bisect import bisect_right
from collections.abc import Sequence

from pytorch_lightning.utilities.types import LRSchedulerConfigType
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_modules.schedules import Horizon, Schedulers

log = logging.getLogger(__name__)


class Cycles(LambdaLR):
    """The rate falls along half a cosine in each cycle, and starts the next one at its highest.

    Args:
        optimizer: Holds the highest rate of each parameter group.
        ends: Steps after which each cycle ends, ascending; the last is the end of training.
    """

    def __init__(self, optimizer: Optimizer, ends: Sequence[int]) -> None:
        self.ends = list(ends)
        super().__init__(optimizer, lambda step: self._share(step))

    @property
    def ended_cycle(self) -> int:
        """Number of the cycle, from 1, that the last step ended; 0 where it ended none."""
        return self.ends.index(self.last_epoch) + 1 if self.last_epoch in self.ends else 0

    def _share(self, step: int) -> float:
        # After the last step the rate is asked for once more.
        cycle = min(bisect_right(self.ends, step), len(self.ends) - 1)
        start = self.ends[cycle - 1] if cycle else 0
        progress = min(1.0, (step - start) / (self.ends[cycle] - start))
        return (1 + math.cos(math.pi * progress)) / 2


def snapshot(optimizer: Optimizer, horizon: Horizon, *, cycles: int = 5) -> Schedulers:
    """Let the learning rate fall along half a cosine several times, in cycles of equal length.

    Huang, Li, Pleiss, Liu, Hopcroft, Weinberger: Snapshot ensembles, 2017 (https://arxiv.org/abs/1704.00109),
    equation 2. At the end of each cycle ``callbacks.snapshots`` keeps a checkpoint; together they are an
    ensemble at the price of one training.

    Args:
        optimizer: Holds the highest learning rate of each parameter group.
        horizon: Length of the training.
        cycles: At least 1; of more than there are steps, as many as there are.

    Raises:
        ValueError: If there is no cycle, or the training has no known end.
    """
    total = horizon.total_steps
    if total is None:
        raise ValueError(
            "scheduler=snapshot must know when training ends; set trainer.max_epochs or trainer.max_steps"
        )
    if cycles < 1:
        raise ValueError(f"scheduler.cycles={cycles} must be at least 1")
    if cycles > total:
        log.warning("scheduler.cycles=%s are more than the steps of this training; %d instead", cycles, total)
        cycles = total
    ends = [round(total * cycle / cycles) for cycle in range(1, cycles + 1)]
    return [LRSchedulerConfigType(scheduler=Cycles(optimizer, ends), interval="step")]
