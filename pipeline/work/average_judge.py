"""Measures weights that were put together, on the data that they were trained for."""

from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule, Trainer
from rich.progress import track
from torch import Tensor

from pipeline.callbacks.weight_average_statistics import recompute
from pipeline.console import console
from pipeline.work.average_weights import State
from pipeline.work.loading import Trained
from pipeline.work.measuring import measuring_trainer, plain, settings_here

Measures = dict[str, float]


class Judge:
    """Loads states into one network and measures them.

    Args:
        trained: The network.
        datamodule: Its data, set up.
        accelerator: Lightning's name of the device.
    """

    def __init__(self, trained: Trained, *, datamodule: LightningDataModule, accelerator: str) -> None:
        self._trained = trained
        self.datamodule: Any = datamodule
        self._accelerator = accelerator
        self._trainer = self._made(folder=trained.folder, watching=("progress",))
        self.monitor: str = trained.config["task"]["monitor"]
        self.mode: str = trained.config["task"]["mode"]

    def load(self, state: State) -> None:
        """Put a state into the network."""
        self._trained.task.load_state_dict(dict(state))

    def validate(self) -> Measures:
        """Measures on validation; a verifier is calibrated by it, too."""
        return plain(self._trainer.validate(self._trained.task, datamodule=self.datamodule, verbose=False))

    def test(self, *, folder: Path) -> Measures:
        """Measures on test, with pictures in the folder."""
        trainer = self._made(folder=folder, watching=("progress", "figures"))
        return plain(trainer.test(self._trained.task, datamodule=self.datamodule, verbose=False))

    def recompute_statistics(self) -> None:
        """Measure batch-norm statistics of weights that were averaged; only after `validate`."""
        task, strategy = self._trained.task, self._trainer.strategy
        task.to(strategy.root_device)
        loader: Any = self.datamodule.train_dataloader()
        batches = track(loader, "batch-norm statistics", console=console, transient=True)
        recompute(task, batches, to_device=strategy.batch_to_device)

    def state(self) -> dict[str, Tensor]:
        """A copy of what the network holds."""
        return {name: tensor.cpu().clone() for name, tensor in self._trained.task.state_dict().items()}

    def is_no_worse(self, found: Measures, than: Measures) -> bool:
        """By the measure that the run watches; what is not a number is worse than any."""
        one, other = found[self.monitor], than[self.monitor]
        return one >= other if self.mode == "max" else one <= other

    def _made(self, *, folder: Path, watching: tuple[str, ...]) -> Trainer:
        config = self._trained.config
        settings = settings_here(config, accelerator=self._accelerator)
        return measuring_trainer(config, folder=folder, settings=settings, watching=watching)
