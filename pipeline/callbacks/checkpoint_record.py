"""Writes into every checkpoint what is needed to build its network again."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class CheckpointRecord(Callback):
    """Add the run's id, its configuration and the data's metadata under the key `pipeline`.

    Args:
        record: Plain dicts, lists, strings and numbers; `torch.load(weights_only=True)` reads nothing else.
    """

    def __init__(self, *, record: dict[str, Any]) -> None:
        self.record = record

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the record into the checkpoint."""
        checkpoint["pipeline"] = self.record
