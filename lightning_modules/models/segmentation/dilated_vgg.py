"""VGG-16 with dilated convolutions in place of its last poolings."""

from typing import cast

from torch import Tensor, nn

from lightning_modules.models.backbones import light_stages
from lightning_modules.models.segmentation.context import Context, context_module
from lightning_modules.models.segmentation.dilation import dilate
from lightning_modules.models.segmentation.options import Scale, check_pretrained, is_light
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.vgg import (
    FC_CHANNELS,
    POOL4,
    classifier_layers,
    load_classifier,
    published_vgg16,
    vgg16_layers,
)
from lightning_modules.models.segmentation.weights import load_file

NAMED_WEIGHTS = ("none", "backbone")
POOL5 = "30"
STRIDE = 8
LIGHT_CHANNELS = 128
SCORE_STD = 0.01


def dilated_vgg(
    *,
    num_classes: int = 21,
    scale: Scale = "published",
    context: Context = "basic",
    pretrained: str = "none",
    load_weights: bool = True,
) -> Segmenter:
    """VGG-16 without its last two poolings, dilated to see as far, and a context module on its scores.

    Yu, Koltun: Multi-scale context aggregation by dilated convolutions, 2015
    (https://arxiv.org/abs/1511.07122). Scores are an eighth as high and wide as the image. The reference
    mirrors the image at its edges and pads nowhere; here every convolution pads with zeros, so that images
    may have any size.

    Args:
        num_classes: With the background; 21 as published for PASCAL VOC.
        scale: ``published``: 134,346,581 parameters at 21 classes before the context module;
            ``light``: the light residual stages of which the last is dilated, 0.6 million, for pictures of
            about 128 pixels.
        context: ``none``: the front end alone; ``basic``: 28,392 parameters more at 21 classes;
            ``large``: wider. They begin as the identity.
        pretrained: ``none``; ``backbone`` for VGG-16's ImageNet weights with both linear layers; or the
            path of a state-dict file.
        load_weights: False builds the network that goes with ``pretrained`` and leaves it random.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    light = is_light(scale)
    check_pretrained(
        pretrained,
        words=NAMED_WEIGHTS,
        light=light,
        load_weights=load_weights,
        instead="model.scale=published",
    )
    body = _light_body() if light else NamedSequence(dilated_vgg16_layers())
    if pretrained == "backbone" and load_weights:
        load_classifier(body, published_vgg16())
    network = DilatedNetwork(
        body,
        channels=LIGHT_CHANNELS if light else FC_CHANNELS,
        num_classes=num_classes,
        context=context_module(context, num_classes=num_classes),
    )
    if load_weights and pretrained not in NAMED_WEIGHTS:
        load_file(network, pretrained, last_layers=("scores.", "context."))
    return Segmenter(network, body="body", divisor=STRIDE, channels_last=light)


class DilatedNetwork(nn.Module):
    """A body, the scores of its map, and what refines them.

    Shape: (B, 3, H, W) to (B, C, H / 8, W / 8).

    Args:
        body: Gives maps of an eighth of the side.
        channels: Of the maps.
        num_classes: C.
        context: Maps scores to scores.
    """

    def __init__(self, body: nn.Module, *, channels: int, num_classes: int, context: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.scores = nn.Conv2d(channels, num_classes, 1)
        self.context = context
        # The context module begins by cutting off what is negative, and what is cut off does not learn.
        nn.init.normal_(self.scores.weight, std=SCORE_STD)
        nn.init.ones_(cast(Tensor, self.scores.bias))

    def forward(self, images: Tensor) -> Tensor:
        """Scores of normalised images."""
        scores: Tensor = self.context(self.scores(self.body(images)))
        return scores


class LastMap(nn.Module):
    """Only the coarsest map of some stages.

    Args:
        stages: Gives maps by name, the finest first.
    """

    def __init__(self, stages: nn.Module) -> None:
        super().__init__()
        self.stages = stages

    def forward(self, images: Tensor) -> Tensor:
        """The map of normalised images."""
        *_, last = self.stages(images).values()
        return cast(Tensor, last)


def dilated_vgg16_layers() -> dict[str, nn.Module]:
    """VGG-16 as convolutions, of which those behind a pooling that is left out are dilated."""
    layers = {name: layer for name, layer in vgg16_layers().items() if name not in (POOL4, POOL5)}
    for name, layer in layers.items():
        if isinstance(layer, nn.Conv2d) and int(name) > int(POOL4):
            dilate(layer, 2)
    return layers | classifier_layers(padding=12, dilation=4)


class NamedSequence(nn.ModuleDict):
    """Layers one after the other."""

    def forward(self, images: Tensor) -> Tensor:
        """What the last layer gives."""
        for layer in self.values():
            images = layer(images)
        return images


def _light_body() -> nn.Module:
    stages = light_stages(norm="batch", strides=(16,))
    dilate(stages["layer4"], 2)
    return LastMap(stages)
