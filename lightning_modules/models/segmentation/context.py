"""The context module: dilated convolutions that see far and begin by changing nothing."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Context = Literal["none", "basic", "large"]
DILATIONS = (1, 1, 2, 4, 8, 16, 1)
# Multiples of the number of classes.
WIDTHS = {"basic": (1, 1, 1, 1, 1, 1, 1), "large": (2, 2, 4, 8, 16, 32, 32)}
CONTEXTS = ("none", "basic", "large")
NOISE = 0.001


class ContextModule(nn.Sequential):
    """Seven dilated 3x3 convolutions with ReLU and a 1x1 convolution; every place sees 67x67.

    Yu, Koltun: Multi-scale context aggregation by dilated convolutions, 2015
    (https://arxiv.org/abs/1511.07122). It begins as the identity of what is not negative. The large form
    adds a little noise to what is off the identity, since its channels would stay copies of each other.

    Shape: (B, C, H, W) to (B, C, H, W).

    Args:
        num_classes: C.
        kind: ``basic`` with C channels everywhere, or ``large`` with up to 32 C.
    """

    def __init__(self, num_classes: int, *, kind: str) -> None:
        widths = [num_classes * multiple for multiple in (1, *WIDTHS[kind])]
        layers: list[nn.Module] = []
        for (before, width), dilation in zip(pairwise(widths), DILATIONS, strict=True):
            layers += [nn.Conv2d(before, width, 3, padding=dilation, dilation=dilation), nn.ReLU()]
        layers.append(nn.Conv2d(widths[-1], num_classes, 1))
        super().__init__(*layers)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                _begin_as_identity(layer, num_classes=num_classes, noise=NOISE if kind == "large" else 0.0)


def context_module(kind: str, *, num_classes: int) -> nn.Module:
    """The module by name; ``none`` leaves the scores as they are.

    Raises:
        ValueError: If the name is unknown.
    """
    if kind not in CONTEXTS:
        raise ValueError(f"model.context={kind} is not one of {', '.join(CONTEXTS)}")
    return nn.Identity() if kind == "none" else ContextModule(num_classes, kind=kind)


def _begin_as_identity(layer: nn.Conv2d, *, num_classes: int, noise: float) -> None:
    """Each output is the mean of the inputs that stand for its class."""
    share = num_classes / layer.out_channels
    same = _classes(layer.out_channels, num_classes)[:, None] == _classes(layer.in_channels, num_classes)
    nn.init.normal_(layer.weight, std=noise * share) if noise else nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    centre = layer.kernel_size[0] // 2
    with torch.no_grad():
        layer.weight[:, :, centre, centre] += same.to(layer.weight) * share


def _classes(channels: int, num_classes: int) -> Tensor:
    return torch.arange(channels) * num_classes // channels
