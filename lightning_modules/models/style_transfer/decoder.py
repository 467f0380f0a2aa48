"""The way back from a layer's maps to a picture, mirrored from the widths of the layers before it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from lightning_modules.models.style_transfer.features import Features

PROBE_SIDE = 64
"""Side of the image by which it is found out how far the places of each layer lie apart."""
DEEPEST = 8
"""Pixels from one place to the next behind three halvings, as of relu4_1 of VGG."""


class Layer(NamedTuple):
    """One layer of features.

    Attributes:
        name: As the features call it.
        channels: Of its map.
        stride: Pixels from one place to the next, a power of 2.
    """

    name: str
    channels: int
    stride: int


@torch.no_grad()
def layers_of(features: Features) -> list[Layer]:
    """Every layer that can be asked for, from the image on."""
    maps = features(torch.zeros(1, 3, PROBE_SIDE, PROBE_SIDE), wanted=features.layers)
    # Where edges are not continued, a map is a little smaller than its stride says.
    return [
        Layer(name, features.channels(name), 2 ** round(math.log2(PROBE_SIDE / max(maps[name].shape[-2:]))))
        for name in features.layers
    ]


def suitable_layer(layers: Sequence[Layer]) -> str:
    """The first layer behind three halvings, as the paper takes relu4_1 of VGG-19; else the deepest one."""
    return next((layer.name for layer in layers if layer.stride >= DEEPEST), layers[-1].name)


def first_of_each_size(layers: Sequence[Layer]) -> list[str]:
    """Names of the layers before which, and only there, maps become smaller: relu1_1, relu2_1, … of VGG."""
    before = [0, *(layer.stride for layer in layers)]
    return [layer.name for layer, stride in zip(layers, before, strict=False) if layer.stride > stride]


def decoder_for(layers: Sequence[Layer]) -> nn.Sequential:
    """A network from maps (B, C, H', W') of the last of some layers to pictures (B, 3, H, W).

    Each layer has a convolution of 3 x 3 with mirrored edges that gives the width of the layer before it,
    with a ReLU; where maps had become smaller, each place is then repeated. The last one gives the picture.

    Args:
        layers: From the image on, up to the one that is decoded.
    """
    modules: list[nn.Module] = []
    for layer, before in zip(reversed(layers), [*reversed(layers[:-1]), Layer("", 3, 1)], strict=True):
        modules.append(nn.Conv2d(layer.channels, before.channels, 3, padding=1, padding_mode="reflect"))
        if before.name:
            modules.append(nn.ReLU())
        if layer.stride > before.stride:
            modules.append(nn.Upsample(scale_factor=layer.stride // before.stride, mode="nearest"))
    return nn.Sequential(*modules)
