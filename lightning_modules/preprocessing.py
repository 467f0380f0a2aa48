"""From pixels to what a network expects, on the device where the network is."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as OpenCV's RGB2GRAY


class Normalise(nn.Module):
    """Scale uint8 images to [0, 1], make them grey if the data is, and standardise each channel.

    The statistics belong to the data and travel in its metadata; no checkpoint holds them twice.

    Args:
        channels: 1 for grey data (images still arrive as RGB), 3 for colour.
        mean: Of each channel of images in [0, 1].
        std: As ``mean``, above 0.

    Raises:
        ValueError: If the number of values is not the number of channels, or a deviation is 0.
    """

    mean: Tensor
    std: Tensor
    luma: Tensor

    def __init__(self, *, channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"data.channels={channels} must be 1 (grey) or 3 (colour)")
        if len(mean) != channels or len(std) != channels:
            raise ValueError(
                f"data.channels={channels} needs as many values in data.mean={mean} and data.std={std}"
            )
        if min(std) <= 0:
            raise ValueError(f"data.std={std} must be above 0 in every channel")
        self.grey = channels == 1
        for name, values in (("mean", mean), ("std", std), ("luma", LUMA)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised float images (B, channels, H, W) of uint8 RGB images (B, 3, H, W)."""
        scaled = images.to(self.mean.dtype) / 255
        if self.grey:
            scaled = (scaled * self.luma).sum(dim=1, keepdim=True)
        return (scaled - self.mean) / self.std
