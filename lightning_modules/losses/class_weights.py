"""Weights that make up for rare classes."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

ClassWeights = Literal["none", "balanced"]


def balance(class_counts: Sequence[int], *, how: ClassWeights) -> Tensor | None:
    """(C,) weights of the classes in the loss: N / (C · count), 0 for a class that never occurs.

    Args:
        class_counts: How often each class occurs in the training split: images, or pixels.
        how: ``none`` for no weights.

    Raises:
        ValueError: If ``how`` is unknown.
    """
    if how == "none":
        return None
    if how != "balanced":
        raise ValueError(f"task.class_weights={how} is not one of none, balanced")
    counts = torch.tensor(class_counts, dtype=torch.float32)
    weights = counts.sum() / (len(counts) * counts)
    return torch.where(counts > 0, weights, torch.zeros_like(weights))
