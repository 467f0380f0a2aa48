"""Wide residual networks with bottlenecks, as torchvision builds them."""

import torchvision.models
from torchvision.models import ResNet

from lightning_modules.models.classification.residual import residual_network
from lightning_modules.models.stems import Stem


def wide_resnet50_2(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 224,
    stem: Stem = "auto",
    pretrained: bool | str = False,
    freeze: str = "none",
) -> ResNet:
    """Wide ResNet-50-2: ResNet-50 with twice the inner width; 68,883,240 parameters at 1000 classes.

    Zagoruyko, Komodakis: Wide residual networks, 2016
    (https://arxiv.org/abs/1605.07146). Network and weights: torchvision.
    Shape: (B, in_channels, H, W) to (B, num_classes). Arguments and errors: see ``residual_network``.
    """
    return residual_network(
        torchvision.models.wide_resnet50_2,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        stem=stem,
        pretrained=pretrained,
        freeze=freeze,
    )
