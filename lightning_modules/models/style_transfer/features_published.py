"""Features of networks that were published with weights of ImageNet."""

from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.models import SqueezeNet1_1_Weights, VGG16_Weights, VGG19_Weights, WeightsEnum

from lightning_modules.models.published_weights import fetch
from lightning_modules.models.style_transfer.features import LayeredFeatures
from lightning_modules.models.style_transfer.features_layers import (
    Pooling,
    squeezenet_layers,
    vgg_layers,
    widths,
)

INSTEAD = "or choose features=random, which need no weights"


def vgg19(*, pooling: Pooling = "average", load_weights: bool = True) -> LayeredFeatures:
    """VGG-19 up to its classifier, with torchvision's weights of ImageNet: relu1_1 to relu5_4.

    Gatys, Ecker, Bethge: Image style transfer using convolutional neural networks, 2016
    (https://openaccess.thecvf.com/content_cvpr_2016/html/Gatys_Image_Style_Transfer_CVPR_2016_paper.html).

    Args:
        pooling: ``average``, with which the paper finds its pictures slightly better, or ``max``.
        load_weights: False builds the same network and leaves its weights random.

    Raises:
        ValueError: If the pooling is unknown.
        OSError: If the weights cannot be fetched.
    """
    layers = vgg_layers("vgg19", pooling=pooling)
    weights = VGG19_Weights.IMAGENET1K_V1 if load_weights else None
    return _published(layers, name="VGG-19", word="vgg19", weights=weights)


def vgg16(*, pooling: Pooling = "average", load_weights: bool = True) -> LayeredFeatures:
    """VGG-16 up to its classifier, with torchvision's weights of ImageNet: relu1_1 to relu5_3.

    Johnson, Alahi, Fei-Fei: Perceptual losses for real-time style transfer and super-resolution, 2016
    (https://arxiv.org/abs/1603.08155). Arguments and errors as ``vgg19``.
    """
    layers = vgg_layers("vgg16", pooling=pooling)
    weights = VGG16_Weights.IMAGENET1K_V1 if load_weights else None
    return _published(layers, name="VGG-16", word="vgg16", weights=weights)


def squeezenet(*, pooling: Pooling = "max", load_weights: bool = True) -> LayeredFeatures:
    """SqueezeNet 1.1 up to its classifier, with torchvision's weights of ImageNet: relu1, fire2 to fire9.

    Iandola and others: SqueezeNet, 2016 (https://arxiv.org/abs/1602.07360). 5 MB instead of VGG-19's 548.
    Arguments and errors as ``vgg19``.
    """
    layers = squeezenet_layers(pooling=pooling)
    weights = SqueezeNet1_1_Weights.IMAGENET1K_V1 if load_weights else None
    return _published(layers, name="SqueezeNet 1.1", word="squeezenet", weights=weights)


def _published(
    layers: dict[str, nn.Module], *, name: str, word: str, weights: WeightsEnum | None
) -> LayeredFeatures:
    """Features with published weights, or with none where a checkpoint will bring them."""
    features = LayeredFeatures(
        layers, answered=widths(layers), source=f"{name}, ImageNet weights of torchvision"
    )
    if weights is not None:
        state = fetch(weights, word=word, key="features", instead=INSTEAD)
        features.network.load_state_dict(renamed(state, names=list(layers)))
    return features


def renamed(state: Mapping[str, Tensor], *, names: list[str]) -> dict[str, Tensor]:
    """The part of torchvision's state dict before the classifier, under our names.

    Args:
        state: Of a network whose ``features`` are layers in a row.
        names: Ours, of the same layers.
    """
    found = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        number, _, kind = rest.partition(".")
        if part == "features":
            found[f"{names[int(number)]}.{kind}"] = value
    return found
