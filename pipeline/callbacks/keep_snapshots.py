"""Saves `checkpoints/snapshot_1.ckpt` and so on: the network at the end of each cycle of its rate."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class KeepSnapshots(Callback):
    """Keep a checkpoint whenever the schedule says that a cycle has ended; most schedules have none.

    Where a cycle ends with an epoch, the checkpoint is saved after validation: some tasks calibrate then.
    """

    def __init__(self) -> None:
        self._saved = self._waiting = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if a cycle has ended inside an epoch."""
        ended = _ended_cycle(trainer)
        # Batches whose gradients are accumulated see the same step several times.
        if ended in (0, self._saved) or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._waiting = ended
        else:
            self._save(trainer, ended)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if a cycle has ended together with the epoch."""
        if self._waiting:
            self._save(trainer, self._waiting)
            self._waiting = 0

    def _save(self, trainer: Trainer, cycle: int) -> None:
        self._saved = cycle
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / f"snapshot_{cycle}.ckpt")


def _ended_cycle(trainer: Trainer) -> int:
    """Number of the cycle that the last step ended; 0 where it ended none, or there are none."""
    return max(
        (getattr(each.scheduler, "ended_cycle", 0) for each in trainer.lr_scheduler_configs), default=0
    )
