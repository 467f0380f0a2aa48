"""Four ways to double a map, as inverses of a 2x2 max pooling."""

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Unpooling = Literal["nearest", "bed_of_nails", "max", "transposed"]


class NearestUnpooling(nn.Module):
    """Every value fills its four places.

    Shape: (B, C, H, W) to (B, C, 2H, 2W).
    """

    def forward(self, map_: Tensor, indices: Tensor) -> Tensor:
        """Double a map.

        Args:
            map_: (B, C, H, W).
            indices: Not used.
        """
        del indices
        return functional.interpolate(map_, scale_factor=2, mode="nearest")


class BedOfNailsUnpooling(nn.Module):
    """Every value goes to the upper left of its four places; the others are zero.

    Shape: (B, C, H, W) to (B, C, 2H, 2W).
    """

    def forward(self, map_: Tensor, indices: Tensor) -> Tensor:
        """Double a map.

        Args:
            map_: (B, C, H, W).
            indices: Not used.
        """
        del indices
        zeros = torch.zeros_like(map_)
        upper = torch.stack([map_, zeros], dim=-1).flatten(-2)
        return torch.stack([upper, torch.zeros_like(upper)], dim=-2).flatten(-3, -2)


class MaxUnpooling(nn.Module):
    """Every value goes to the place of which the pooling took the largest; the others are zero.

    Shape: (B, C, H, W) to (B, C, 2H, 2W).
    """

    def forward(self, map_: Tensor, indices: Tensor) -> Tensor:
        """Double a map.

        Args:
            map_: (B, C, H, W).
            indices: int64 (B, C, H, W), as ``max_pool2d`` returns them.
        """
        count, channels, height, width = map_.shape
        zeros = map_.new_zeros(count, channels, 4 * height * width)
        # As max_unpool2d, which refuses deterministic algorithms: here no two values have one place.
        filled = zeros.scatter(2, indices.flatten(2), map_.flatten(2))
        return filled.view(count, channels, 2 * height, 2 * width)


class TransposedUnpooling(nn.Module):
    """Every value weighs a learned 3x3 kernel; what overlaps is added.

    Dumoulin, Visin: A guide to convolution arithmetic for deep learning, 2016
    (https://arxiv.org/abs/1603.07285).

    Shape: (B, C, H, W) to (B, C, 2H, 2W).

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.ConvTranspose2d(
            channels, channels, 3, stride=2, padding=1, output_padding=1, bias=False
        )
        # A place of the output sees a quarter of the kernel's nine places, on average.
        nn.init.normal_(self.layer.weight, std=(4 / (9 * channels)) ** 0.5)

    def forward(self, map_: Tensor, indices: Tensor) -> Tensor:
        """Double a map.

        Args:
            map_: (B, C, H, W).
            indices: Not used.
        """
        del indices
        return cast(Tensor, self.layer(map_))


def unpooling_layer(name: str, *, channels: int) -> nn.Module:
    """One of the four by name.

    Args:
        name: ``nearest``, ``bed_of_nails``, ``max`` or ``transposed``.
        channels: Of the map.

    Raises:
        ValueError: If the name is unknown.
    """
    if name == "transposed":
        return TransposedUnpooling(channels)
    fixed = {"nearest": NearestUnpooling, "bed_of_nails": BedOfNailsUnpooling, "max": MaxUnpooling}
    if name not in fixed:
        raise ValueError(f"model.unpooling={name} is not one of {', '.join([*fixed, 'transposed'])}")
    return fixed[name]()
