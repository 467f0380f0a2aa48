"""Every classifier of torchvision by its name."""

import inspect
from typing import Any

import torchvision.models
from torch import nn

from lightning_modules.models.names import require_known
from lightning_modules.models.stems import Stem, keep_size_at_first, wants_small_stem
from lightning_modules.models.torchvision_weights import published
from lightning_modules.models.weights import prepare


def by_name(
    *,
    name: str,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 224,
    stem: Stem = "auto",
    pretrained: bool | str = False,
    freeze: str = "none",
) -> nn.Module:
    """Any classifier of torchvision, chosen by ``model.name``.

    torchvision: PyTorch's computer vision library (https://docs.pytorch.org/vision/stable/models.html,
    where each network names its paper). GoogLeNet and Inception come without their second heads.

    Shape: (B, in_channels, image_size, image_size) to (B, num_classes).

    Args:
        name: As torchvision spells it, such as ``mobilenet_v3_small``.
        num_classes: Number of classes.
        in_channels: 1 for grey images, 3 for colour; weights for 3 are adapted.
        image_size: Side of the images in pixels; only transformers are built for one size.
        stem: ``imagenet``: as published; ``small``: the first convolution keeps the size and the pooling
            behind it is left out; ``auto``: small up to 64 pixels, unless weights are given.
        pretrained: True for torchvision's weights, or the path of a state-dict file.
        freeze: ``none``, ``all_but_head`` or ``stage:N``.

    Raises:
        ValueError: If the name is unknown, the weights do not fit, or ``freeze`` is unknown.
        OSError: If the published weights cannot be fetched.
    """
    require_known(name, torchvision.models.list_models(module=torchvision.models), library="torchvision")
    options = _options(name, image_size=image_size)
    model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=num_classes, **options)
    if wants_small_stem(stem=stem, image_size=image_size, pretrained=pretrained):
        keep_size_at_first(model)
    _expect_scaling(model, pretrained is True and in_channels == 3)
    if in_channels != 3:
        _replace_stem(model, in_channels)
    prepare(model, pretrained=pretrained, freeze=freeze, published=lambda: published(name))
    return model


def _options(name: str, *, image_size: int) -> dict[str, bool | int]:
    """Arguments that only some networks know, found in the signature of their class."""
    network = inspect.signature(torchvision.models.get_model_builder(name)).return_annotation
    known = inspect.signature(network).parameters
    options: dict[str, bool | int] = {}
    if "aux_logits" in known:
        # The two networks that have it also warn that their default way to start will change.
        options |= {"aux_logits": False, "init_weights": True}
    if "image_size" in known:
        options["image_size"] = image_size
    return options


def _expect_scaling(model: Any, published: bool) -> None:
    """GoogLeNet's and Inception's published weights want inputs that the network itself scales."""
    if hasattr(model, "transform_input"):
        model.transform_input = published


def _replace_stem(model: nn.Module, in_channels: int) -> None:
    """Give the first convolution another number of input channels; its new weights are random."""
    stem = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    weight = stem.weight.new_empty(stem.out_channels, in_channels, *stem.kernel_size)
    nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
    stem.in_channels, stem.weight = in_channels, nn.Parameter(weight)
