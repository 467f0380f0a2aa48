"""What every verb that trains begins with: data that is read, and a task around its network."""

from dataclasses import dataclass
from typing import Any

import pytorch_lightning
from pytorch_lightning import LightningDataModule, LightningModule, Trainer

from pipeline import build
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.devices import ChannelsLast, arrange
from pipeline.meeting import first_alone
from pipeline.work.features import filled_from_run

Prepared = tuple[dict[str, Any], LightningDataModule, LightningModule]


def prepared(composed: Composed, *, seed: int) -> Prepared:
    """Seed everything, read the data and build the task.

    Args:
        composed: The verb's configuration.
        seed: Where everything random starts.

    Returns:
        The configuration with what only the data knows filled in, the data, set up, and the task.
    """
    pytorch_lightning.seed_everything(seed, verbose=False)
    with console.status("reading the data"):
        datamodule = build.datamodule(composed.config)
        with first_alone("data"):
            datamodule.prepare_data()
        datamodule.setup("fit")
    config = build.filled_from_data(filled_from_run(composed.config, root=composed.root), datamodule)
    task = build.task(config, datamodule.metadata)  # type: ignore[attr-defined]
    return config, datamodule, task


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How a network is prepared for the device that trains it.

    Attributes:
        channels_last: How the weights of convolutions lie in memory; see `pipeline.devices.arrange`.
        compiles: Whether torch.compile is used.
    """

    channels_last: ChannelsLast
    compiles: bool

    def arrange(self, task: LightningModule, *, trainer: Trainer) -> None:
        """Change a task's network in place, after everything that looks at it and before it trains.

        Args:
            task: The task.
            trainer: Knows device and precision.
        """
        arrange(
            task,
            channels_last=self.channels_last,
            compiles=self.compiles,
            precision=str(trainer.precision),
            on_gpu=trainer.strategy.root_device.type == "cuda",
        )
