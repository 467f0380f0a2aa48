"""What several processes do together: torchrun -m tests.on_ranks WHAT FOLDER, which gets WHAT_RANK.pt."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.strategies import FSDPStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.utils.data import DataLoader

from lightning_modules.classification import ClassificationTask
from pipeline import build
from pipeline.callbacks.average_statistics import AverageStatistics
from tests.lightning_modules.synthetic import TinyNet, loader, metadata

OPTIONS: dict[str, Any] = {
    "accelerator": "cpu",
    "devices": 2,
    "max_epochs": 2,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Normalising(LightningModule):
    """Batch norm that sees other numbers in each process, and weights that stay."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
        self.seen: list[Tensor] = []
        self.measured_with: list[Tensor] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.seen.append(batch)
        loss: Tensor = self.network(batch).mean()
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.measured_with.append(self.network[0].running_mean.clone())  # type: ignore[union-attr, operator]

    def train_dataloader(self) -> DataLoader[Tensor]:
        rows = torch.randn(12, 3, generator=torch.Generator().manual_seed(self.global_rank))
        return DataLoader(list(rows * (1 + self.global_rank) + self.global_rank), batch_size=4)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(list(torch.zeros(2, 3)), batch_size=2)  # type: ignore[arg-type]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def statistics(folder: Path) -> dict[str, Any]:
    """What batch norm remembers, and what it has seen."""
    config = {"trainer": {"_target_": "pytorch_lightning.Trainer", "strategy": "ddp", **OPTIONS}}
    trainer = build.trainer(config, folder=folder, callbacks=[AverageStatistics()], logger=None)
    module = Normalising()
    trainer.fit(module)
    trainer.save_checkpoint(folder / "statistics.ckpt")
    return {"state": module.state_dict(), "seen": module.seen, "measured_with": module.measured_with}


class OnCpus(FSDPStrategy):
    """Lightning and torch want GPUs unless they are told otherwise; they differ in the backend only."""

    def _setup_model(self, model: nn.Module) -> nn.Module:
        return FullyShardedDataParallel(model, device_id=torch.device("cpu"), **self.kwargs)


def fsdp(folder: Path) -> dict[str, Any]:
    """What a process holds of sharded weights, and how they are grouped."""
    torch.manual_seed(0)
    task = ClassificationTask(
        model=TinyNet(),
        optimizer=partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
        scheduler=None,
        metadata=metadata(),
    )
    sizes = {name: parameter.numel() for name, parameter in task.named_parameters()}
    trainer = Trainer(**OPTIONS, strategy=OnCpus(), logger=False, enable_checkpointing=False)
    trainer.fit(task, loader(size=8, batch_size=4))
    trainer.save_checkpoint(folder / "fsdp.ckpt")
    groups = {
        group["name"]: sum(parameter.numel() for parameter in group["params"])
        for group in trainer.optimizers[0].param_groups
    }
    return {"sizes": sizes, "groups": groups}


if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2])
    found = {"statistics": statistics, "fsdp": fsdp}[what](where)
    torch.save(found, where / f"{what}_{torch.distributed.get_rank()}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
