"""ResNeXt, as torchvision builds it."""

import torchvision.models
from torchvision.models import ResNet

from lightning_modules.models.classification.residual import residual_network
from lightning_modules.models.stems import Stem


def resnext50_32x4d(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 224,
    stem: Stem = "auto",
    pretrained: bool | str = False,
    freeze: str = "none",
) -> ResNet:
    """ResNeXt-50 32x4d: bottlenecks of 32 groups; 25,028,904 parameters at 1000 classes.

    Xie, Girshick, Dollar, Tu, He: Aggregated residual transformations for deep neural networks, 2016
    (https://arxiv.org/abs/1611.05431). Network and weights: torchvision.
    Shape: (B, in_channels, H, W) to (B, num_classes). Arguments and errors: see ``residual_network``.
    """
    return residual_network(
        torchvision.models.resnext50_32x4d,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        stem=stem,
        pretrained=pretrained,
        freeze=freeze,
    )
