"""Networks cut into stages, for tasks that need maps of several sizes rather than classes."""

import inspect
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import cast

import torchvision.models
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights
from torchvision.models.resnet import BasicBlock, ResNet

from lightning_modules.models.norms import Norm, norm_layer, resolve_norm
from lightning_modules.models.published_weights import fetch
from lightning_modules.models.timm_stages import TimmStages, freeze_stages, timm_stages

LIGHT_WIDTHS = (32, 64, 128, 128)
LIGHT_STRIDES = (1, 2, 2, 2)
RESIDUAL_STRIDES = {"layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}
LIGHT_STAGE_STRIDES = {"layer1": 2, "layer2": 4, "layer3": 8, "layer4": 16}


class Stages(nn.ModuleDict):
    """Layers one after the other, with the maps that some of them end.

    The keys of its state dict are those of the network that was cut.

    Shape: (B, 3, H, W) to maps ``"0"``, ``"1"``, … of (B, channels[i], H / strides[i], W / strides[i]).

    Args:
        layers: Names and layers in order; those behind the last end are left out.
        ends: Names of the layers whose output is a map, with its number of channels and its stride.
    """

    def __init__(self, layers: Mapping[str, nn.Module], *, ends: Mapping[str, tuple[int, int]]) -> None:
        names = list(layers)
        last = max(names.index(name) for name in ends)
        super().__init__({name: layers[name] for name in names[: last + 1]})
        self.ends = tuple(name for name in names if name in ends)
        self.channels = tuple(ends[name][0] for name in self.ends)
        self.strides = tuple(ends[name][1] for name in self.ends)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps of a batch of normalised images, the finest first."""
        maps: dict[str, Tensor] = OrderedDict()
        for name, layer in self.items():
            images = layer(images)
            if name in self.ends:
                maps[str(len(maps))] = images
        return maps


def backbone_stages(
    *,
    name: str,
    norm: str,
    pretrained: bool,
    finds_weights: bool,
    load_weights: bool,
    trainable: int,
    strides: Sequence[int],
) -> Stages | TimmStages:
    """The stages of a network by name, as a module with ``channels`` and ``strides``.

    Args:
        name: ``light``, a residual network of torchvision (``resnet50``) or any network of timm that has
            maps of these strides (``convnext_tiny``); torchvision's comes first where both know a name.
        norm: ``batch``, ``frozen``, ``group``, ``sync`` or ``auto``, see ``norms.resolve_norm``.
        pretrained: Weights of a classifier of ImageNet are wanted.
        finds_weights: Weights come from here or from elsewhere; decides ``auto``.
        load_weights: False builds the same network and leaves its weights random.
        trainable: How many stages learn, counted from the end; 5 for all with the stem.
        strides: Of the maps that are wanted.

    Raises:
        ValueError: If the name is unknown, or the rest does not go together.
        OSError: If the weights cannot be fetched.
    """
    _check_weights(name, norm=norm, pretrained=pretrained)
    resolved = resolve_norm(norm, light=name == "light", pretrained=finds_weights)
    loads = pretrained and load_weights
    if name == "light":
        stages = light_stages(norm=resolved, strides=strides)
    elif name in residual_names():
        stages = residual_stages(name=name, norm=resolved, pretrained=loads, strides=strides)
    else:
        return timm_stages(
            name=name,
            norm=resolved,
            insists=norm != "auto",
            pretrained=loads,
            trainable=trainable,
            strides=strides,
        )
    freeze_stages(stages, ends=[end for end in RESIDUAL_STRIDES if end in stages], trainable=trainable)
    return stages


def light_stages(*, norm: Norm, strides: Sequence[int]) -> Stages:
    """A light residual network for pictures of about 128 pixels: a stem and four stages of one block.

    32, 64, 128 and 128 channels at a half, a quarter, an eighth and a sixteenth of the side. Residual
    blocks: He and others, 2015 (https://arxiv.org/abs/1512.03385).

    Args:
        norm: Not ``auto``.
        strides: Of the maps that are wanted: of 2, 4, 8, 16.
    """
    layer = norm_layer(norm)
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, LIGHT_WIDTHS[0], kernel_size=7, stride=2, padding=3, bias=False),
        "bn1": layer(LIGHT_WIDTHS[0]),
        "relu": nn.ReLU(inplace=True),
    }
    channels, ends = LIGHT_WIDTHS[0], {}
    for name, width, stride in zip(LIGHT_STAGE_STRIDES, LIGHT_WIDTHS, LIGHT_STRIDES, strict=True):
        layers[name] = _block(channels, width, stride=stride, norm=norm)
        channels = width
        ends[name] = (width, LIGHT_STAGE_STRIDES[name])
    stages = Stages(layers, ends=_wanted(ends, strides))
    for module in stages.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return stages


def residual_stages(*, name: str, norm: Norm, pretrained: bool, strides: Sequence[int]) -> Stages:
    """A residual network of torchvision, cut behind its last wanted stage.

    Args:
        name: As torchvision spells it, such as ``resnet50``.
        norm: Not ``auto``.
        pretrained: Load torchvision's first ImageNet weights, with which its detectors were trained.
        strides: Of the maps that are wanted: of 4, 8, 16, 32.

    Raises:
        OSError: If the weights cannot be fetched.
    """
    network = cast(ResNet, get_model(name, weights=None, norm_layer=norm_layer(norm)))
    if pretrained:
        network.load_state_dict(fetch(get_model_weights(name)["IMAGENET1K_V1"], word="backbone"))
    layers = {child: layer for child, layer in network.named_children() if child not in ("avgpool", "fc")}
    ends = {end: (_channels_out(layers[end]), stride) for end, stride in RESIDUAL_STRIDES.items()}
    return Stages(layers, ends=_wanted(ends, strides))


@cache
def residual_names() -> tuple[str, ...]:
    """Every residual network of torchvision, known by what its builder says it returns."""
    names = torchvision.models.list_models(module=torchvision.models)
    builders = {name: torchvision.models.get_model_builder(name) for name in names}
    return tuple(name for name in names if inspect.signature(builders[name]).return_annotation is ResNet)


def _block(channels: int, width: int, *, stride: int, norm: Norm) -> BasicBlock:
    layer = norm_layer(norm)
    if stride == 1 and channels == width:
        return BasicBlock(channels, width, norm_layer=layer)
    projection = nn.Sequential(nn.Conv2d(channels, width, 1, stride=stride, bias=False), layer(width))
    return BasicBlock(channels, width, stride=stride, downsample=projection, norm_layer=layer)


def _check_weights(name: str, *, norm: str, pretrained: bool) -> None:
    if pretrained and name == "light":
        raise ValueError(
            "model.pretrained=backbone, but nobody published weights of the light backbone; choose "
            "model.backbone=resnet50 or model.pretrained=none"
        )
    if pretrained and norm == "group":
        raise ValueError(
            "model.pretrained=backbone brings batch norm with it, so model.norm=group does not fit; choose "
            "model.norm=auto"
        )


def _wanted(ends: Mapping[str, tuple[int, int]], strides: Sequence[int]) -> dict[str, tuple[int, int]]:
    return {name: end for name, end in ends.items() if end[1] in strides}


def _channels_out(stage: nn.Module) -> int:
    last = [module for module in stage.modules() if isinstance(module, nn.Conv2d)][-1]
    return last.out_channels
