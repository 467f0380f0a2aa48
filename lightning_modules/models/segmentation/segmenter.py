"""One face for every segmenter: scores of every pixel of an image of any size."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

MAIN = "out"
"""Name of a network's own answer, among those of its auxiliary heads."""


class Segmenter(nn.Module):
    """A network that gives scores to every pixel, whatever size it works at.

    Images are padded with zeros (the mean colour, once they are normalised) below and on the right to a
    multiple of what the network needs, and the scores are cropped again; scores of another size are
    resized bilinearly.

    Args:
        network: Maps normalised images (B, channels, H, W) to scores (B, C, H', W'), or to a dict of them
            with the main ones under ``out`` and those of auxiliary heads under other names.
        body: Name of its child that sees the images first; everything else is the head.
        divisor: H and W must be multiples of this.
        channels_last: Whether the weights lie in memory with the channels last, which makes small networks
            on a CPU faster.
    """

    def __init__(
        self, network: nn.Module, *, body: str, divisor: int = 1, channels_last: bool = False
    ) -> None:
        super().__init__()
        network.get_submodule(body)  # fails where there is no such child
        self.network = network.to(memory_format=torch.channels_last) if channels_last else network
        self.body = body
        self.divisor = divisor

    def forward(self, images: Tensor) -> Tensor:
        """Scores (B, C, H, W) of normalised images (B, channels, H, W)."""
        return self._run(images)[MAIN]

    def training_scores(self, images: Tensor) -> dict[str, Tensor]:
        """Scores (B, C, H, W) of the network under ``out``, and of its auxiliary heads, for training."""
        return self._run(images)

    def head_parameters(self) -> frozenset[str]:
        """Dotted names of the parameters behind the body."""
        inside = f"network.{self.body}."
        return frozenset(name for name, _ in self.named_parameters() if not name.startswith(inside))

    def _run(self, images: Tensor) -> dict[str, Tensor]:
        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, -width % self.divisor, 0, -height % self.divisor))
        found = self.network(padded)
        named: Mapping[str, Tensor] = found if isinstance(found, Mapping) else {MAIN: found}
        size = (padded.shape[-2], padded.shape[-1])
        return {name: _resized(scores, size)[..., :height, :width] for name, scores in named.items()}


def _resized(scores: Tensor, size: tuple[int, int]) -> Tensor:
    if scores.shape[-2:] == size:
        return scores
    return functional.interpolate(scores, size=size, mode="bilinear", align_corners=False)
