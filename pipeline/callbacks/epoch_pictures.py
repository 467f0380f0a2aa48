"""What is drawn again and again while a network learns, such as the same few validation images."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from matplotlib.figure import Figure
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn

from pipeline.callbacks.figure_files import (
    EPOCHS,
    Bytes,
    figures_folder,
    from_every_process,
    tell_loggers_of_step,
    write_drawn,
)

PICTURES = 12
"""About as many epochs are drawn, however many there are."""

Scene = TypeVar("Scene")


@dataclass(frozen=True, kw_only=True)
class Watched(Generic[Scene]):
    """A validation image with what was made of it, ready to be drawn; can be sent to another process.

    Attributes:
        index: Position in the data set.
        scene: The picture.
    """

    index: int
    scene: Scene


class EpochDrawing(Callback, ABC):
    """Writes `figures/epochs/<name>_epoch_XXX.png` of a run that learns.

    Args:
        name: What the files are called.
        every_n_epochs: How often; None shows about twelve epochs of a run, and those at 1, 2, 4, 8 … of one
            that has no last epoch; 0 none.
    """

    def __init__(self, *, name: str, every_n_epochs: int | None) -> None:
        self._name = name
        self._every_n_epochs = every_n_epochs
        self._last_epoch: int | None = None
        self._drawing = False

    @abstractmethod
    def picture(self, trainer: Trainer, pl_module: LightningModule) -> Figure | Bytes | None:
        """What is drawn of an epoch after its validation; None where there is nothing to see.

        It is called in every process, and what the first one draws is kept.
        """

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Decide whether this epoch is drawn."""
        fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        self._drawing = fitting and self._every_n_epochs != 0 and self._due(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, write, and tell the loggers."""
        if not self._drawing:
            return
        self._last_epoch = trainer.current_epoch
        drawn = self.picture(trainer, pl_module)
        if drawn is None or not trainer.is_global_zero:
            return
        path = figures_folder(trainer, EPOCHS) / f"{self._name}_epoch_{trainer.current_epoch:03d}.png"
        write_drawn(path, drawn)
        # By epoch and not by batch: runs with other batch sizes then line up with this one.
        tell_loggers_of_step(trainer, path, name=self._name, step=trainer.current_epoch)

    def _due(self, trainer: Trainer) -> bool:
        """The first epoch, each n-th after it, and the last."""
        if self._last_epoch is None:
            return True
        since = trainer.current_epoch - self._last_epoch
        last = trainer.current_epoch + 1 == trainer.max_epochs
        return since >= self._distance(trainer, self._last_epoch) or (last and since > 0)

    def _distance(self, trainer: Trainer, last_epoch: int) -> int:
        """Epochs until the next one that is drawn; ever more where nobody knows how many there will be."""
        if self._every_n_epochs is not None:
            return self._every_n_epochs
        if trainer.max_epochs is None or trainer.max_epochs < 1:
            return max(1, last_epoch)
        return math.ceil(trainer.max_epochs / PICTURES)


class EpochPictures(EpochDrawing, Generic[Scene]):
    """Writes `figures/epochs/predictions_epoch_XXX.png` of a run that learns.

    Args:
        watched: How many validation images to show; always the same.
        every_n_epochs: See `EpochDrawing`.
    """

    def __init__(self, *, watched: int, every_n_epochs: int | None) -> None:
        super().__init__(name="predictions", every_n_epochs=every_n_epochs)
        self._watched = watched
        self._kept: list[Watched[Scene]] = []

    @abstractmethod
    def watch(self, batch: Mapping[str, Any], outputs: Any, *, count: int, data: Any) -> list[Watched[Scene]]:
        """The first images of a batch; none where the task tells nothing of them.

        Args:
            batch: Of the validation split.
            outputs: What the task's validation step returned for it.
            count: How many at most.
            data: Metadata of the data.
        """

    @abstractmethod
    def draw(self, scenes: list[Scene], *, epoch: int, data: Any) -> Figure:
        """One figure of all watched images.

        Args:
            scenes: In the order of the data set.
            epoch: Counted from 1.
            data: Metadata of the data.
        """

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        super().on_validation_start(trainer, pl_module)
        self._kept = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first images."""
        wanted = self._watched - len(self._kept)
        if self._drawing and wanted > 0 and isinstance(outputs, Mapping):
            self._kept += self.watch(batch, outputs, count=wanted, data=metadata_of(trainer))

    def picture(self, trainer: Trainer, pl_module: LightningModule) -> Figure | None:
        """The images with the lowest numbers of all processes."""
        everyone = {one.index: one.scene for part in from_every_process(self._kept, trainer) for one in part}
        self._kept = []
        if not trainer.is_global_zero or not everyone:
            return None
        scenes = [everyone[index] for index in sorted(everyone)[: self._watched]]
        return self.draw(scenes, epoch=trainer.current_epoch + 1, data=metadata_of(trainer))


def metadata_of(trainer: Trainer) -> Mapping[str, Any]:
    """Metadata of the data that is trained on or measured."""
    metadata: Mapping[str, Any] = trainer.datamodule.metadata  # type: ignore[attr-defined]
    return metadata
