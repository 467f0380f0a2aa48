"""What the networks of segmentation-models-pytorch have in common."""

from collections.abc import Callable
from typing import Any

from torch import nn

from lightning_modules.models.segmentation.options import check_pretrained, is_light
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.single_images import allow_single_images
from lightning_modules.models.segmentation.smp_encoders import published_network
from lightning_modules.models.segmentation.weights import load_file

WORDS = ("none", "backbone")
LAST_LAYERS = ("segmentation_head.0.",)
PUBLISHED_ENCODER = "resnet34"


def smp_segmenter(
    kind: str,
    *,
    light_network: Callable[[int], nn.Module],
    num_classes: int,
    scale: str,
    encoder: str | None,
    pretrained: str,
    load_weights: bool,
) -> Segmenter:
    """Build one of them.

    Args:
        kind: Its class in segmentation-models-pytorch.
        light_network: Makes the light network from the number of classes.
        num_classes: With the background.
        scale: ``light`` or ``published``.
        encoder: Name; None for the one of the scale.
        pretrained: ``none``, ``backbone`` or the path of a state-dict file.
        load_weights: False leaves the weights random.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    name = encoder or ("light" if is_light(scale) else PUBLISHED_ENCODER)
    light = name == "light"
    check_pretrained(
        pretrained,
        words=WORDS,
        light=light,
        load_weights=load_weights,
        instead=f"model.encoder={PUBLISHED_ENCODER}",
    )
    if light:
        network = light_network(num_classes)
    else:
        wants = pretrained == "backbone" and load_weights
        network = published_network(kind, encoder=name, num_classes=num_classes, pretrained=wants)
    allow_single_images(network)
    if load_weights and pretrained not in WORDS:
        load_file(network, pretrained, last_layers=LAST_LAYERS)
    inside: Any = network.get_submodule("encoder")
    return Segmenter(network, body="encoder", divisor=inside.output_stride, channels_last=light)
