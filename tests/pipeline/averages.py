"""Small networks that are trained with an average of their weights, for tests."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from pipeline import build, checkpoints
from pipeline.callbacks.step_seed import StepSeed
from pipeline.compose import compose_plain

BATCHES = 4


class Small(LightningModule):
    """A linear layer behind a batch norm; frozen weights and a buffer that validation sets."""

    threshold: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.layer = nn.Linear(3, 1)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.register_buffer("threshold", torch.tensor(0.0))
        self.register_buffer("stage", torch.tensor(0))

    def forward(self, features: Tensor) -> Tensor:
        answer: Tensor = self.layer(self.norm(self.frozen(features)))
        return answer

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = (self(batch[0]) - batch[1]).square().mean()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", (self(batch[0]) - batch[1]).square().mean())

    def on_validation_epoch_end(self) -> None:
        self.threshold.fill_(float(self.layer.weight.detach().sum()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Numbers(LightningDataModule):
    """Random features and targets, in order."""

    def train_dataloader(self) -> DataLoader[Any]:
        generator = torch.Generator().manual_seed(1)
        features = torch.randn(8 * BATCHES, 3, generator=generator) * 2 + 1
        return DataLoader(TensorDataset(features, features.sum(dim=1, keepdim=True)), batch_size=8)

    def val_dataloader(self) -> DataLoader[Any]:
        return self.train_dataloader()

    def resume(self, epoch: int, batches: int) -> None:
        assert batches == 0


class Recorder(Callback):
    """The weights of training after each batch, and what a validation saw."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []
        self.validated: list[dict[str, Tensor]] = []
        self.rates: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.states.append(copied(pl_module))
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validated.append(copied(pl_module))


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def train_small(average: Callback, folder: Path, **options: Any) -> tuple[Recorder, dict[str, Any]]:
    """Train the small network; what was seen, and a checkpoint of the end."""
    torch.manual_seed(0)
    recorder, saver = Recorder(), Saver()
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[recorder, average, saver],
        **{"max_epochs": 3, **options},
    )
    task = Small()
    trainer.fit(task, datamodule=Numbers())
    saver.saved["left"] = copied(task)
    return recorder, saver.saved


class Saver(Callback):
    """Keeps the checkpoint of the last epoch in memory."""

    def __init__(self) -> None:
        self.saved: dict[str, Any] = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        path = Path(trainer.default_root_dir) / "saved.ckpt"
        trainer.save_checkpoint(path)
        self.saved = torch.load(path, weights_only=True)


class Interrupted(StepSeed):
    """A failure in the middle of an epoch, or none."""

    def __init__(self, *, epoch: int | None) -> None:
        super().__init__(seed=0)
        self.epoch = epoch

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        if (trainer.current_epoch, batch_idx) == (self.epoch, 2):
            raise RuntimeError("as if it had been killed")


def train_digits(
    folder: Path, words: list[str], *, stop: int | None = None, resume: bool = False
) -> dict[str, Any]:
    """Train a network with batch norm on a few digits as the product does; its `last.ckpt`."""
    small = ["model=resnet8", "data.batch_size=4", "data.image_size=16", "trainer.max_epochs=3"]
    quiet = ["trainer.limit_train_batches=3", "trainer.limit_val_batches=1", "trainer.accelerator=cpu"]
    config = compose_plain(verb="train", overrides=[*small, *quiet, "logger=none", *words])
    kept = ("checkpoint", "keep_last", "ema", "swa")
    config["callbacks"] = {name: node for name, node in config["callbacks"].items() if name in kept}
    config["callbacks"]["keep_last"]["every_n_steps"] = 2
    torch.manual_seed(0)
    datamodule: Any = build.datamodule(config)
    datamodule.setup("fit")
    config = build.filled_from_data(config, datamodule)
    last = folder / "checkpoints" / "last.ckpt"
    if resume:
        progress = checkpoints.progress(checkpoints.read_plain(last))
        datamodule.resume(epoch=progress.epoch, batches=progress.batches)
    chosen = [*build.callbacks(config, folder=folder), Interrupted(epoch=stop)]
    trainer = build.trainer(config, folder=folder, callbacks=chosen, logger=None)
    try:
        trainer.fit(
            build.task(config, datamodule.metadata),
            datamodule=datamodule,
            ckpt_path=last if resume else None,
            weights_only=True,
        )
    except RuntimeError:
        assert stop is not None
    return checkpoints.read_plain(last)
