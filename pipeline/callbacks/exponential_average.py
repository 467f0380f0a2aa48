"""The average of the weights over optimiser steps that forgets exponentially."""

from pytorch_lightning import Trainer
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from pipeline.callbacks.weight_average import WeightAverage


class ExponentialAverage(WeightAverage):
    """A moving average over optimiser steps that forgets exponentially: x_test = d x_test + (1 - d) x.

    Batch-norm statistics are averaged like the weights. The decay d grows with the number n of states that
    are in the average, as min(decay, (1 + n) / (10 + n)) (TensorFlow's ExponentialMovingAverage): a constant
    one near 1 would keep the weights of the beginning in the average of a short run.

    Args:
        decay: d, in [0, 1); the average reaches about 1 / (1 - d) steps back.
        warmup: Whether the decay grows.
        start: See `WeightAverage`.
    """

    def __init__(self, *, decay: float = 0.995, warmup: bool = True, start: int | float = 0) -> None:
        super().__init__(start=start)
        self.decay = decay
        self.warmup = warmup

    def is_due(self, trainer: Trainer) -> bool:
        """Every step is."""
        return True

    def blend(self, averages: list[Tensor], weights: list[Tensor]) -> None:
        """Move all averages at once, which on a GPU takes a few launches and not one for each."""
        growing = (1 + self.updates) / (10 + self.updates)
        decay = min(self.decay, growing) if self.warmup else self.decay
        get_ema_multi_avg_fn(decay)(averages, weights, None)  # type: ignore[no-untyped-call]
