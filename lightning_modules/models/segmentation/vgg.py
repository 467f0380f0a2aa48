"""VGG-16 as a body of segmenters: its convolutions, and its classifier as convolutions."""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn
from torchvision.models import VGG16_Weights
from torchvision.models.vgg import cfgs, make_layers

from lightning_modules.models.backbones import Stages
from lightning_modules.models.published_weights import fetch

FC_CHANNELS = 4096
FC6_SIDE = 7
DROPOUT = 0.5
# Names in torchvision's list of layers of the third and fourth pooling.
POOL3, POOL4 = "16", "23"
# The layers of torchvision's classifier that became convolutions.
CLASSIFIER = {"fc6": "classifier.0", "fc7": "classifier.3"}


def vgg16_layers() -> dict[str, nn.Module]:
    """The layers of VGG-16 before its classifier, under torchvision's names, with He's initial weights.

    Simonyan, Zisserman: Very deep convolutional networks, 2014 (https://arxiv.org/abs/1409.1556).
    """
    layers = dict(make_layers(cfgs["D"], batch_norm=False).named_children())
    for layer in layers.values():
        if isinstance(layer, nn.Conv2d):
            initialise(layer)
    return layers


def initialise(layer: nn.Conv2d) -> None:
    """He's initial weights, and a bias of zero."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(cast(Tensor, layer.bias))


def fully_convolutional_vgg16(*, padding: int) -> Stages:
    """VGG-16 with its two wide linear layers as convolutions: maps of pool3, pool4 and fc7.

    Shape: with a padding of 100, (B, 3, 500, 500) to (B, 256, 88, 88), (B, 512, 44, 44) and
    (B, 4096, 16, 16).

    Args:
        padding: Of the first convolution; 100 leaves fc6 something to see in images of any size.
    """
    layers = vgg16_layers()
    cast(nn.Conv2d, layers["0"]).padding = (padding, padding)
    for layer in layers.values():
        if isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
    return Stages(
        layers | classifier_layers(), ends={POOL3: (256, 8), POOL4: (512, 16), "drop7": (FC_CHANNELS, 32)}
    )


def classifier_layers(*, padding: int = 0, dilation: int = 1) -> dict[str, nn.Module]:
    """The two wide linear layers of VGG-16 as convolutions, with He's initial weights.

    Args:
        padding: Of the first, 7x7.
        dilation: Of the first.
    """
    fc6 = nn.Conv2d(512, FC_CHANNELS, FC6_SIDE, padding=padding, dilation=dilation)
    fc7 = nn.Conv2d(FC_CHANNELS, FC_CHANNELS, 1)
    for layer in (fc6, fc7):
        initialise(layer)
    layers: dict[str, nn.Module] = {"fc6": fc6, "relu6": nn.ReLU(inplace=True), "drop6": nn.Dropout(DROPOUT)}
    return layers | {"fc7": fc7, "relu7": nn.ReLU(inplace=True), "drop7": nn.Dropout(DROPOUT)}


def published_vgg16() -> Mapping[str, Tensor]:
    """State dict of torchvision's VGG-16 for ImageNet.

    Raises:
        OSError: If it cannot be fetched.
    """
    return fetch(VGG16_Weights.IMAGENET1K_V1, word="backbone")


def load_classifier(body: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give the weights of a classifier to a body that has all or a part of its layers; in place.

    Linear layers become convolutions: a row for one output is a kernel over the map that was flattened.

    Args:
        body: Has torchvision's names for the layers before the classifier, and ``fc6``, ``fc7`` of
            torchvision's shapes where it has them.
        state: Of torchvision's VGG-16.
    """
    taken = {}
    for key, own in body.state_dict().items():
        layer, _, kind = key.rpartition(".")
        taken[key] = state[f"{CLASSIFIER.get(layer, f'features.{layer}')}.{kind}"].reshape(own.shape)
    body.load_state_dict(taken)
