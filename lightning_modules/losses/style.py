"""Losses of style transfer: what is in a picture, how it is painted, and how rough it is.

Shapes: B pictures, C channels, H and W rows and columns of a map.
"""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

Normalisation = Literal["lecture", "relative"]
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)
EPSILON = 1e-5
"""Added to variances, as in the AdaIN paper's code, so that a constant channel has no infinite scale."""
LEAST_NORM = 1e-12
"""What a loss is divided by at least, so that it stays finite where the target is black."""


def gram_matrix(maps: Tensor) -> Tensor:
    """Gram matrices (B, C, C) of maps (B, C, H, W): inner products of channels, summed over the places."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2)


def style_layer_loss(
    maps: Tensor, gram: Tensor, *, normalisation: Normalisation, places: int | None = None
) -> Tensor:
    """How far the Gram matrices of some maps are from the style's; the mean over the pictures.

    Args:
        maps: (B, C, H, W).
        gram: (B, C, C) or (1, C, C), the style's, from ``gram_matrix``.
        normalisation: See ``gram_loss``.
        places: Places that ``gram`` was summed over, H'·W'; it is scaled to those of ``maps``, so that a
            style picture may have another size. None: as many as ``maps`` has.

    Raises:
        ValueError: If the normalisation is unknown.
    """
    own = maps.shape[-2] * maps.shape[-1]
    target = gram * (own / places) if places else gram
    return gram_loss(gram_matrix(maps), target, places=own, normalisation=normalisation)


def gram_loss(gram: Tensor, target: Tensor, *, places: int, normalisation: Normalisation) -> Tensor:
    """How far Gram matrices are from the style's; the mean over the pictures.

    ``lecture``: 1/(2·H·W·C)² · Σ (G - G')²; Gatys, Ecker, Bethge, 2015 (https://arxiv.org/abs/1508.06576).
    ``relative``: Σ (G - G')² / Σ G'², which is 1 for a black map whatever the layer.

    Args:
        gram: G, (B, C, C), of the pictures.
        target: G', (B, C, C) or (1, C, C), summed over as many places.
        places: H·W, the places that both were summed over.
        normalisation: See above.

    Raises:
        ValueError: If the normalisation is unknown.
    """
    squares = (gram - target).square().sum(dim=(1, 2))
    if check_normalisation(normalisation) == "lecture":
        return (squares / (2 * places * gram.shape[-1]) ** 2).mean()
    return (squares / _above_zero(target.square().sum(dim=(1, 2)))).mean()


def content_loss(maps: Tensor, target: Tensor, *, normalisation: Normalisation) -> Tensor:
    """How far maps are from the content's; the mean over the pictures.

    ``lecture``: 1/2 · Σ (F - P)²; ``relative``: the mean of (F - P)² by the variance of P, which is about 1
    for what has nothing to do with the content.

    Args:
        maps: F, (B, C, H, W).
        target: P, the content's, of the same shape.
        normalisation: See above.

    Raises:
        ValueError: If the normalisation is unknown.
    """
    squares = (maps - target).square().flatten(1)
    if check_normalisation(normalisation) == "lecture":
        return squares.sum(dim=1).mean() / 2
    return (squares.mean(dim=1) / _above_zero(target.flatten(1).var(dim=1, correction=0))).mean()


def total_variation(images: Tensor) -> Tensor:
    """Mean difference of neighbours, beside and below each other, of images (B, C, H, W); 0 for a constant.

    Mahendran, Vedaldi, 2014 (https://arxiv.org/abs/1412.0035), with absolute values, which keep edges.
    """
    below = (images[:, :, 1:] - images[:, :, :-1]).abs()
    beside = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs()
    return below.mean() + beside.mean()


def mean_and_deviation(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the places, (B, C, 1, 1) each, of maps (B, C, H, W)."""
    variance, mean = torch.var_mean(maps, dim=(2, 3), correction=0, keepdim=True)
    return mean, (variance + EPSILON).sqrt()


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Maps of the content, shifted and scaled so that each channel has the style's mean and deviation.

    Huang, Belongie: Arbitrary style transfer in real-time with adaptive instance normalization, 2017
    (https://arxiv.org/abs/1703.06868), equation 8.

    Args:
        content: (B, C, H, W).
        style: (B, C, H', W') or (1, C, H', W').
    """
    mean, deviation = mean_and_deviation(content)
    style_mean, style_deviation = mean_and_deviation(style)
    return (content - mean) / deviation * style_deviation + style_mean


def statistics_loss(maps: Tensor, style: Tensor) -> Tensor:
    """Mean squared difference of the channels' means plus that of their deviations; AdaIN, equation 13.

    Args:
        maps: (B, C, H, W).
        style: (B, C, H', W'), or (1, C, H', W').
    """
    found = mean_and_deviation(maps)
    wanted = (each.expand_as(own) for each, own in zip(mean_and_deviation(style), found, strict=True))
    return torch.stack([functional.mse_loss(a, b) for a, b in zip(found, wanted, strict=True)]).sum()


def check_normalisation(normalisation: Normalisation) -> Normalisation:
    """Refuse a normalisation that is unknown.

    Raises:
        ValueError: If it is.
    """
    if normalisation not in NORMALISATIONS:
        raise ValueError(f"task.normalisation={normalisation} is not one of {', '.join(NORMALISATIONS)}")
    return normalisation


def _above_zero(values: Tensor) -> Tensor:
    return values.clamp_min(LEAST_NORM)
