"""ModelCheckpoint that, of two equal checkpoints, keeps the later one."""

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor


class KeepBest(ModelCheckpoint):
    """Keep the best checkpoints by a measure; the later of equals.

    On a small validation split accuracy moves in steps of one image, and many epochs tie. The first of them
    is a lucky one early on; the last was trained longest, at the smallest learning rate.
    """

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Whether a value is at least as good as the worst that is kept.

        Args:
            trainer: Lightning's trainer.
            current: The value of the measure; None where it was not computed.
        """
        if super().check_monitor_top_k(trainer, current):
            return True
        worst = self.best_k_models.get(self.kth_best_model_path)
        return current is not None and worst is not None and bool(torch.eq(current, worst))
