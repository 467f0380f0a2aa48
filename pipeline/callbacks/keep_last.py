"""Saves `checkpoints/last.ckpt`: after each epoch, every so many steps, and when a run is asked to end."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from pipeline.requeue import REQUEUE
from pipeline.stopping import STOP


class KeepLast(Checkpoint):
    """Keep a checkpoint from which training goes on exactly where it was.

    ModelCheckpoint's own `last.ckpt` is only renewed together with a better one. This one must stand after
    ModelCheckpoint in the configuration: as another of Lightning's Checkpoint callbacks it then runs after
    it, and what is saved knows of the best checkpoint of the same epoch.

    Args:
        every_n_steps: Also save after every n training batches inside an epoch; None: only at its end.
        keep_epochs: Of how many of the last epochs the checkpoint is kept, too, as `recent_EPOCH.ckpt`, to be
            averaged; 0 keeps none.
    """

    def __init__(self, *, every_n_steps: int | None = None, keep_epochs: int = 0) -> None:
        self.every_n_steps = every_n_steps
        self.keep_epochs = keep_epochs

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save inside the epoch if it is time to."""
        is_due = self.every_n_steps is not None and (batch_idx + 1) % self.every_n_steps == 0
        if (is_asked_to_end(trainer) or is_due) and can_resume_here(trainer, batch_idx):
            _save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what the epoch came to, its validation included."""
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            _save(trainer)
            if self.keep_epochs and trainer.is_global_zero:
                _keep_epoch(trainer, self.keep_epochs)


def _save(trainer: Trainer) -> None:
    last = Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt"
    # Lightning writes by way of the system's temporary folder; where that is another file system, a run
    # that is killed meanwhile would be left with half a file.
    draft = last.with_suffix(".draft")
    trainer.save_checkpoint(draft)
    if trainer.is_global_zero:
        draft.replace(last)


def _keep_epoch(trainer: Trainer, count: int) -> None:
    folder = Path(trainer.default_root_dir) / "checkpoints"
    kept = folder / f"recent_{trainer.current_epoch:03d}.ckpt"
    kept.unlink(missing_ok=True)  # of an epoch that is done again
    try:
        os.link(folder / "last.ckpt", kept)  # the next last.ckpt is another file
    except OSError:  # a file system without links
        shutil.copyfile(folder / "last.ckpt", kept)
    for epoch in range(trainer.current_epoch - count + 1):
        (folder / f"recent_{epoch:03d}.ckpt").unlink(missing_ok=True)


def is_asked_to_end(trainer: Trainer) -> bool:
    """Whether a signal has come, to any of the ranks: they save together and end together.

    Args:
        trainer: In a hook that all ranks reach.
    """
    asked = STOP.requested is not None
    if trainer.world_size == 1:
        return asked
    return bool(trainer.strategy.reduce_boolean_decision(asked, all=False))


def asked_by(trainer: Trainer) -> int:
    """The signal by which a run was asked to end, the same for all ranks: one of them may have had none yet.

    Args:
        trainer: In a hook that all ranks reach, after `is_asked_to_end`.
    """
    is_requeue = STOP.requested == REQUEUE
    if trainer.world_size > 1:
        is_requeue = bool(trainer.strategy.reduce_boolean_decision(is_requeue, all=False))
    return REQUEUE if is_requeue else STOP.requested or signal.SIGTERM


def can_resume_here(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a run that is interrupted after this batch can go on as if it had not been.

    Not after a batch that is followed by validation, which would then be left out, and not between two
    batches whose gradients are accumulated.

    Args:
        trainer: In the hook after a training batch.
        batch_idx: Number of that batch in its epoch.
    """
    is_last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
    interval = trainer.val_check_batch
    validates = interval not in (None, float("inf")) and (batch_idx + 1) % int(interval) == 0
    return not is_last and not validates and (batch_idx + 1) % trainer.accumulate_grad_batches == 0
