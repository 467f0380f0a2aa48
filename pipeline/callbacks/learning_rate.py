"""Logs the learning rate, which Lightning's own monitor only does where there is a logger."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class LearningRate(Callback):
    """Log the largest rate of each step as `learning_rate`, and `learning_rate/<group>` where they differ."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Log the rate that this batch is trained with."""
        groups = trainer.optimizers[0].param_groups
        rates = {str(group.get("name", number)): float(group["lr"]) for number, group in enumerate(groups)}
        pl_module.log("learning_rate", max(rates.values()), on_step=True, on_epoch=False)
        if len(set(rates.values())) > 1:
            named = {f"learning_rate/{name}": rate for name, rate in rates.items()}
            pl_module.log_dict(named, on_step=True, on_epoch=False)
