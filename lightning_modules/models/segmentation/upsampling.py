"""Transposed convolutions that begin as bilinear interpolation."""

import torch
from torch import Tensor, nn


def bilinear_kernel(size: int) -> Tensor:
    """Weights (size, size) with which a transposed convolution interpolates bilinearly."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 == 1 else factor - 0.5
    line = 1 - (torch.arange(size) - centre).abs() / factor
    return line[:, None] * line[None, :]


def bilinear_upsampling(channels: int, factor: int, *, padded: bool, learned: bool) -> nn.ConvTranspose2d:
    """A transposed convolution that enlarges by an even factor, each channel by itself at first.

    It has a kernel for every pair of channels, as published; those of different channels begin as zero.

    Shape: (B, channels, H, W) to (B, channels, factor * H, factor * W), or, without padding, to maps of
    ``factor`` pixels more in both directions.

    Args:
        channels: Of the map.
        factor: Even; the kernel is twice as large.
        padded: Leave out half a factor of pixels on each side.
        learned: Whether the kernels learn; else they stay bilinear.
    """
    padding = factor // 2 if padded else 0
    layer = nn.ConvTranspose2d(channels, channels, 2 * factor, stride=factor, padding=padding, bias=False)
    nn.init.zeros_(layer.weight)
    diagonal = torch.arange(channels)
    with torch.no_grad():
        layer.weight[diagonal, diagonal] = bilinear_kernel(2 * factor).to(layer.weight)
    layer.weight.requires_grad_(learned)
    return layer
