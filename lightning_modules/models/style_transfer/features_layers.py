"""The layers of VGG and SqueezeNet under the names of their papers, as papers on style transfer use them."""

from typing import Literal, get_args

from torch import nn
from torchvision.models import squeezenet1_1
from torchvision.models.squeezenet import Fire
from torchvision.models.vgg import cfgs, make_layers

Pooling = Literal["max", "average"]
Vgg = Literal["vgg16", "vgg19"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
CONFIGURATIONS: dict[Vgg, str] = {"vgg16": "D", "vgg19": "E"}  # torchvision's letters


def vgg_layers(name: Vgg, *, pooling: Pooling) -> dict[str, nn.Module]:
    """The layers of a VGG before its classifier, in order: conv1_1, relu1_1, … pool5.

    Simonyan, Zisserman: Very deep convolutional networks, 2014 (https://arxiv.org/abs/1409.1556).

    Args:
        name: ``vgg16`` or ``vgg19``.
        pooling: ``max``, or ``average`` as in Gatys' paper.

    Raises:
        ValueError: If the pooling is unknown.
    """
    named: dict[str, nn.Module] = {}
    block, number = 1, 1
    for layer in make_layers(cfgs[CONFIGURATIONS[name]], batch_norm=False):
        if isinstance(layer, nn.Conv2d):
            named[f"conv{block}_{number}"] = layer
        elif isinstance(layer, nn.ReLU):
            named[f"relu{block}_{number}"] = layer
            number += 1
        else:
            named[f"pool{block}"] = _pooled(layer, pooling)
            block, number = block + 1, 1
    return named


def squeezenet_layers(*, pooling: Pooling) -> dict[str, nn.Module]:
    """The layers of SqueezeNet 1.1 before its classifier, in order: conv1, relu1, pool1, fire2, … fire9.

    Iandola and others: SqueezeNet, 2016 (https://arxiv.org/abs/1602.07360). Its fire modules end in a ReLU.

    Args:
        pooling: ``max`` as published, or ``average``.

    Raises:
        ValueError: If the pooling is unknown.
    """
    named: dict[str, nn.Module] = {}
    number = 1
    for layer in squeezenet1_1(weights=None).features:
        if isinstance(layer, nn.MaxPool2d):
            named[f"pool{number}"] = _pooled(layer, pooling)
            continue
        kind = {nn.Conv2d: "conv", nn.ReLU: "relu", Fire: "fire"}[type(layer)]
        number += kind == "fire"
        named[f"{kind}{number}"] = layer
    return named


def widths(layers: dict[str, nn.Module]) -> dict[str, int]:
    """Channels of each map that may be asked for: behind a ReLU, or behind a fire module."""
    found: dict[str, int] = {}
    channels = 0
    for name, layer in layers.items():
        if isinstance(layer, nn.Conv2d):
            channels = layer.out_channels
        elif isinstance(layer, Fire):
            channels = layer.expand1x1.out_channels + layer.expand3x3.out_channels
        if isinstance(layer, nn.ReLU | Fire):
            found[name] = channels
    return found


def reach(layer: nn.Module) -> tuple[int, int]:
    """Side and stride of the window that a layer looks through."""
    if isinstance(layer, Fire):
        return reach(layer.expand3x3)
    size, stride = getattr(layer, "kernel_size", 1), getattr(layer, "stride", 1)
    return _side(size), _side(stride)


def _side(value: int | tuple[int, int]) -> int:
    return value[0] if isinstance(value, tuple) else value


def _pooled(layer: nn.MaxPool2d, pooling: Pooling) -> nn.Module:
    """A pooling of the wanted kind, whose maps have the same size."""
    if pooling not in POOLINGS:
        raise ValueError(f"model.features.pooling={pooling} is not one of {', '.join(POOLINGS)}")
    if pooling == "max":
        return layer
    return nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode)
