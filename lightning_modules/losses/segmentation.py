"""Losses of a segmenter, and their weighted sum."""

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Literal, get_args

import torch
from segmentation_models_pytorch.losses import MULTICLASS_MODE, DiceLoss, FocalLoss, LovaszLoss
from torch import Tensor, nn
from torch.nn import functional

LossName = Literal["cross_entropy", "dice", "focal", "lovasz", "hard_pixels"]
LOSSES: tuple[LossName, ...] = get_args(LossName)
EASY = 0.7
"""Pixels whose class has at least this probability are easy."""
LEAST_KEPT = 1 / 16
"""Share of the counted pixels that is trained on, however easy they are."""

PixelLoss = Callable[[Tensor, Tensor], Tensor]


class PixelLosses(nn.Module):
    """The losses of a segmenter by name, each a number for a batch.

    ``cross_entropy``: mean over the counted pixels, weighted by class.
    ``dice``: one minus the soft Dice coefficient of each class over the whole batch; a class that no pixel
    of the batch has counts 0, and the mean is over all classes (https://arxiv.org/abs/1606.04797).
    ``focal``: binary focal loss of each class against the rest, γ = 2, mean over pixels and classes
    (https://arxiv.org/abs/1708.02002).
    ``lovasz``: Lovász-softmax over the whole batch, mean over its classes
    (https://arxiv.org/abs/1705.08790).
    ``hard_pixels``: cross-entropy of the hard pixels only, see ``hard_pixels``.

    Each is 0 where no pixel counts. All are computed in 32 bits, also in mixed precision.

    Args:
        weights: How much each loss counts, at least 0, one of them more; what weighs 0 is not computed.
        ignored: Value of pixels that do not count.
        class_weights: (C,) for ``cross_entropy`` and ``hard_pixels``; None: all the same.

    Raises:
        ValueError: If a name is unknown, a weight below 0, or all of them 0.
    """

    class_weights: Tensor | None

    def __init__(
        self, weights: Mapping[LossName, float], *, ignored: int, class_weights: Tensor | None
    ) -> None:
        super().__init__()
        _check_weights(weights)
        self.weights: dict[str, float] = {
            name: float(weight) for name, weight in weights.items() if weight > 0
        }
        self.ignored = ignored
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, scores: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """The value of each loss, before it is weighted.

        Args:
            scores: (B, C, H, W).
            truth: int64 (B, H, W), class ids in [0, C), or ``ignored``.
        """
        with torch.autocast(scores.device.type, enabled=False):
            return {name: self._loss(name)(scores.float(), truth) for name in self.weights}

    def total(self, values: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of what ``forward`` returned."""
        return torch.stack([self.weights[name] * value for name, value in values.items()]).sum()

    def _loss(self, name: str) -> PixelLoss:
        ours = {"cross_entropy": cross_entropy, "hard_pixels": hard_pixels}
        if name in ours:
            return partial(ours[name], ignored=self.ignored, class_weights=self.class_weights)
        theirs = {"dice": DiceLoss, "focal": FocalLoss, "lovasz": LovaszLoss}[name]
        return partial(_where_pixels_count, loss=theirs(MULTICLASS_MODE, ignore_index=self.ignored))


def cross_entropy(scores: Tensor, truth: Tensor, *, ignored: int, class_weights: Tensor | None) -> Tensor:
    """Mean cross-entropy of the counted pixels; 0 where there is none.

    Args:
        scores: float32 (B, C, H, W).
        truth: int64 (B, H, W), class ids or ``ignored``.
        ignored: Value of pixels that do not count.
        class_weights: (C,); the mean is weighted by them.
    """
    losses = functional.cross_entropy(
        scores, truth, weight=class_weights, ignore_index=ignored, reduction="none"
    )
    return _mean(losses, _weights_of(truth, ignored=ignored, class_weights=class_weights))


def hard_pixels(scores: Tensor, truth: Tensor, *, ignored: int, class_weights: Tensor | None) -> Tensor:
    """Mean cross-entropy of the pixels that the network finds hard; 0 where none counts.

    Hard are those whose class has a probability below ``EASY``, and at least the ``LEAST_KEPT`` hardest:
    online hard example mining (https://arxiv.org/abs/1604.03540), pixel by pixel. Arguments as
    ``cross_entropy``.
    """
    losses = functional.cross_entropy(scores, truth, ignore_index=ignored, reduction="none")
    counted = truth != ignored
    surprise = losses.detach()[counted]
    if not len(surprise):
        return scores.sum() * 0
    least = surprise.topk(math.ceil(LEAST_KEPT * len(surprise))).values[-1]
    kept = counted & ((losses.detach() > -math.log(EASY)) | (losses.detach() >= least))
    weights = _weights_of(truth, ignored=ignored, class_weights=class_weights) * kept
    return _mean(losses * weights, weights)


def _where_pixels_count(scores: Tensor, truth: Tensor, *, loss: DiceLoss | FocalLoss | LovaszLoss) -> Tensor:
    """A library's loss; without a counted pixel its focal loss is not a number, its Lovász loss no scalar."""
    if not (truth != loss.ignore_index).any():
        return scores.sum() * 0
    value: Tensor = loss(scores, truth)
    return value


def _weights_of(truth: Tensor, *, ignored: int, class_weights: Tensor | None) -> Tensor:
    """(B, H, W) weight of each pixel, 0 where it is ignored."""
    counted = truth != ignored
    if class_weights is None:
        return counted.float()
    return class_weights[truth.where(counted, 0)] * counted


def _mean(losses: Tensor, weights: Tensor) -> Tensor:
    """Sum of weighted losses by the sum of their weights."""
    return losses.sum() / weights.sum().clamp_min(torch.finfo(torch.float32).tiny)


def _check_weights(weights: Mapping[LossName, float]) -> None:
    for name, weight in weights.items():
        if name not in LOSSES:
            near = get_close_matches(str(name), LOSSES, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"task.losses: {name} is not one of {', '.join(LOSSES)}{hint}")
        if not 0 <= weight < math.inf:
            raise ValueError(f"task.losses.{name}={weight} must be at least 0, which turns it off")
    if not any(weights.values()):
        raise ValueError(f"task.losses={dict(weights)}: one of them must weigh more than 0")
