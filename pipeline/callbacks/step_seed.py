"""Gives the random draws of every training step (dropout, mixup) an owner."""

import hashlib
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class StepSeed(Callback):
    """Seed torch before each training batch from the run's seed, the number of the batch and the rank.

    What a step draws then depends on nothing that happened before it, so that a run that goes on after an
    interruption draws what it would have drawn, without any generator's state in a checkpoint.

    Args:
        seed: The run's seed.
    """

    def __init__(self, *, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch's global generators for this batch."""
        torch.manual_seed(_stable_hash(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank))


def _stable_hash(*numbers: int) -> int:
    text = ",".join(map(str, numbers)).encode()
    # Seven bytes: torch's seeds are signed 64-bit numbers.
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big")
