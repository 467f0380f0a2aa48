"""Gives all processes of a distributed run the same running statistics of batch norm."""

from collections.abc import Iterator
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _NormBase


class AverageStatistics(Callback):
    """Average running means and variances over the processes before they are used or kept.

    Each process normalises by its own batches, and its statistics follow those alone; `build.trainer` keeps
    torch from overwriting them with the first process' before each step. Averages move linearly, so that
    their mean over the processes is the moving average of the means over all batches, whenever it is taken.
    With one process, and for networks without running statistics, nothing happens.
    """

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validation measures the same network on every process."""
        average_statistics(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checkpoints are written after this."""
        average_statistics(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Those of a checkpoint inside an epoch: it holds the module's own tensors until it is written."""
        average_statistics(trainer, pl_module)


def average_statistics(trainer: Trainer, network: nn.Module) -> None:
    """Average in place what batch norm layers remember; every process must call it.

    Args:
        trainer: Knows how many processes there are.
        network: With or without such layers.
    """
    statistics = list(_statistics(network)) if trainer.world_size > 1 else []
    if not statistics:
        return
    # In double precision, the mean of equal numbers is the number, for any count of processes.
    joined = torch.cat([tensor.detach().double().flatten() for tensor in statistics])
    distributed.all_reduce(joined)
    parts = torch.split(joined / trainer.world_size, [tensor.numel() for tensor in statistics])
    with torch.no_grad():
        for tensor, part in zip(statistics, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def _statistics(network: nn.Module) -> Iterator[Tensor]:
    for module in network.modules():
        if isinstance(module, _NormBase) and module.running_mean is not None:
            assert module.running_var is not None
            yield from (module.running_mean, module.running_var)
