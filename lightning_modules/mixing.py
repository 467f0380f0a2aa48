"""Mixtures of the images of a batch, with mixed targets.

One draw per batch; each image is mixed with its neighbour, so batches must be shuffled. The draws come
from torch's global generator, which the run seeds anew before each step.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Mixing = Literal["none", "mixup", "cutmix", "both"]
MIXINGS: tuple[Mixing, ...] = ("none", "mixup", "cutmix", "both")


def mix(
    images: Tensor, labels: Tensor, *, mixing: Mixing, alpha: float, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Mix a batch as ``mixing`` says; ``both`` draws one of the two for each batch.

    Args:
        images: (B, channels, H, W), float.
        labels: (B,) class ids.
        mixing: ``none``, ``mixup``, ``cutmix`` or ``both``.
        alpha: Of the Beta(alpha, alpha) distribution of the shares, above 0; typically 0.2 for mixup and
            1 for cutmix.
        num_classes: C.

    Returns:
        The images, and the targets: (B,) class ids if nothing is mixed, else (B, C) shares that sum to 1.
    """
    if mixing == "none":
        return images, labels
    chosen = mixing if mixing != "both" else ("mixup", "cutmix")[int(torch.randint(2, ()))]
    share = float(torch.distributions.Beta(alpha, alpha).sample(()))
    targets = functional.one_hot(labels, num_classes).float()
    return mixup(images, targets, share=share) if chosen == "mixup" else cutmix(images, targets, share=share)


def mixup(images: Tensor, targets: Tensor, *, share: float) -> tuple[Tensor, Tensor]:
    """Weighted means of neighbours in the batch.

    Zhang et al.: mixup: beyond empirical risk minimization, 2017 (https://arxiv.org/abs/1710.09412).

    Args:
        images: (B, channels, H, W), float.
        targets: (B, C) shares of the classes.
        share: Weight of an image itself, in [0, 1].
    """
    return images.roll(1, 0).lerp(images, share), targets.roll(1, 0).lerp(targets, share)


def cutmix(images: Tensor, targets: Tensor, *, share: float) -> tuple[Tensor, Tensor]:
    """Neighbours in the batch with a box of one pasted into the other.

    Yun et al.: CutMix: regularization strategy to train strong classifiers with localizable features,
    2019 (https://arxiv.org/abs/1905.04899).

    Args:
        images: (B, channels, H, W), float.
        targets: (B, C) shares of the classes.
        share: Area of the image itself before the box is cut at the border, in [0, 1].
    """
    height, width = images.shape[-2:]
    left, right = _interval(width, share)
    top, bottom = _interval(height, share)
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
    kept = 1 - (right - left) * (bottom - top) / (width * height)
    return mixed, targets.roll(1, 0).lerp(targets, kept)


def _interval(length: int, share: float) -> tuple[int, int]:
    """One side of the box: sqrt(1 - share) long around a drawn centre, cut at the border."""
    centre = int(torch.randint(length, ()))
    half = int(0.5 * math.sqrt(1 - share) * length)
    return max(0, centre - half), min(length, centre + half)
