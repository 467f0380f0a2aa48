"""Fast style transfer: a network that learns to paint any picture in one style, in one pass."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.models.style_transfer.features import Features
from lightning_modules.models.style_transfer.padding import cropped, padded
from lightning_modules.models.style_transfer.stylizer import Painted, Stylizer, check_alpha

HALVED = 4
"""Pixels from one place to the next between the two convolutions that halve and what undoes them."""


class FastStyle(Stylizer):
    """The network of Johnson's paper, with instance normalisation; it learns one style.

    Args:
        features: See ``Stylizer``.
        width: Channels behind the first convolution; there are two and four times as many behind the next.
        blocks: Residual blocks.
    """

    def __init__(self, features: Features, *, width: int, blocks: int) -> None:
        super().__init__(features)
        self.network = nn.Sequential(
            *_convolution(3, width, size=9),
            *_convolution(width, 2 * width, size=3, stride=2),
            *_convolution(2 * width, 4 * width, size=3, stride=2),
            *(Residual(4 * width) for _ in range(blocks)),
            nn.Upsample(scale_factor=2, mode="nearest"),
            *_convolution(4 * width, 2 * width, size=3),
            nn.Upsample(scale_factor=2, mode="nearest"),
            *_convolution(2 * width, width, size=3),
            _mirrored(width, 3, size=9),
        )

    def paint(
        self, contents: Tensor, styles: Sequence[Tensor] | None, *, blend: Sequence[float] | None = None
    ) -> Painted:
        """See ``Stylizer``; the last layer is the paper's scaled tanh, here to [0, 1]."""
        found = self.network(2 * padded(contents, multiple=HALVED) - 1)
        return Painted(cropped(0.5 + 0.5 * torch.tanh(found), contents.shape[-2:]))

    def stylise(
        self,
        images: Tensor,
        styles: Sequence[Tensor] | None,
        *,
        alpha: float = 1.0,
        blend: Sequence[float] | None = None,
    ) -> Tensor:
        """See ``Stylizer``; between 0 and 1 ``alpha`` mixes the pixels of both pictures.

        Raises:
            ValueError: If there are ``styles``, of which this network knows one only, or ``alpha`` is not in
                [0, 1].
        """
        if styles:
            raise ValueError("model=fast_style learnt its style, and takes no other: leave the style out")
        pictures = self.paint(images, None).pictures.to(images.dtype)
        return torch.lerp(images, pictures, check_alpha(alpha)).clamp(0, 1)


class Residual(nn.Module):
    """Two convolutions whose result is added to what they start from, without a ReLU behind the sum.

    Gross, Wilber: Training and investigating residual nets, 2016 (http://torch.ch/blog/2016/02/04/resnets.html).

    Args:
        channels: Before, between and behind.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        first = _convolution(channels, channels, size=3)
        second = _convolution(channels, channels, size=3)
        self.layers = nn.Sequential(*first, *second[:-1])

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, C, H, W) of the same shape."""
        change: Tensor = self.layers(maps)
        return maps + change


def fast_style(*, features: Features, width: int = 32, blocks: int = 5) -> FastStyle:
    """Johnson's network, which learns one style and paints any picture in one pass; 1,679,235 parameters.

    Johnson, Alahi, Fei-Fei: Perceptual losses for real-time style transfer and super-resolution, 2016
    (https://arxiv.org/abs/1603.08155), with the layers of its supplement. Instance normalisation instead of
    batch normalisation as in Ulyanov, Vedaldi, Lempitsky: Instance normalization, 2016
    (https://arxiv.org/abs/1607.08022); mirrored edges, and nearest neighbours with a convolution instead of
    transposed convolutions, as in Dumoulin, Shlens, Kudlur: A learned representation for artistic style, 2017
    (https://arxiv.org/abs/1610.07629).

    Args:
        features: What judges its pictures.
        width: Channels behind the first convolution; 32 is published, 16 learns four times as fast.
        blocks: Residual blocks; 5 are published.

    Raises:
        ValueError: If an argument is out of its range.
    """
    for name, value, least in (("width", width, 1), ("blocks", blocks, 0)):
        if value < least:
            raise ValueError(f"model.{name}={value} must be at least {least}")
    return FastStyle(features, width=width, blocks=blocks)


def _mirrored(inputs: int, outputs: int, *, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, padding_mode="reflect")


def _convolution(inputs: int, outputs: int, *, size: int, stride: int = 1) -> list[nn.Module]:
    convolution = _mirrored(inputs, outputs, size=size, stride=stride)
    return [convolution, nn.InstanceNorm2d(outputs, affine=True), nn.ReLU()]
