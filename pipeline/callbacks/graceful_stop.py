"""Ends a run between two batches when a signal asks it to."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from pipeline.callbacks.keep_last import can_resume_here
from pipeline.stopping import STOP


class GracefulStop(Callback):
    """End at the first batch after which the run can go on exactly; `KeepLast` has saved it by then."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End here if asked to."""
        if can_resume_here(trainer, batch_idx):
            STOP.raise_if_requested()
