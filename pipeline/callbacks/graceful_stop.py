"""Ends a run between two batches when a signal asks it to."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from pipeline.callbacks.keep_last import asked_by, can_resume_here, is_asked_to_end
from pipeline.errors import StopRequested
from pipeline.stopping import STOP


class GracefulStop(Checkpoint):
    """End at the first batch after which the run can go on exactly; `KeepLast` has saved it by then.

    It saves nothing itself, but Lightning runs Checkpoint callbacks after all others, and it must come last.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take SIGTERM back from Lightning, which would end the run wherever it is, with exit code 0."""
        STOP.install()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End here if asked to."""
        if is_asked_to_end(trainer) and can_resume_here(trainer, batch_idx):
            raise StopRequested(asked_by(trainer))
