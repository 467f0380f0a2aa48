"""The residual networks of He and others, as torchvision builds them."""

import torchvision.models
from torchvision.models import ResNet

from lightning_modules.models.classification.residual import residual_network
from lightning_modules.models.stems import Stem


def resnet18(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 224,
    stem: Stem = "auto",
    pretrained: bool | str = False,
    freeze: str = "none",
) -> ResNet:
    """ResNet-18: eight blocks of two 3x3 convolutions; 11,689,512 parameters at 1000 classes.

    He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015
    (https://arxiv.org/abs/1512.03385). Network and weights: torchvision.
    Shape: (B, in_channels, H, W) to (B, num_classes). Arguments and errors: see ``residual_network``.
    """
    return residual_network(
        torchvision.models.resnet18,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        stem=stem,
        pretrained=pretrained,
        freeze=freeze,
    )


def resnet34(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 224,
    stem: Stem = "auto",
    pretrained: bool | str = False,
    freeze: str = "none",
) -> ResNet:
    """ResNet-34: sixteen blocks of two 3x3 convolutions; 21,797,672 parameters at 1000 classes.

    He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015
    (https://arxiv.org/abs/1512.03385). Network and weights: torchvision.
    Shape: (B, in_channels, H, W) to (B, num_classes). Arguments and errors: see ``residual_network``.
    """
    return residual_network(
        torchvision.models.resnet34,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        stem=stem,
        pretrained=pretrained,
        freeze=freeze,
    )


def resnet50(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 224,
    stem: Stem = "auto",
    pretrained: bool | str = False,
    freeze: str = "none",
) -> ResNet:
    """ResNet-50: sixteen bottleneck blocks; 25,557,032 parameters at 1000 classes.

    He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015
    (https://arxiv.org/abs/1512.03385). Network and weights: torchvision. The stride of a stage is in
    its first 3x3 convolution (version 1.5), not in the 1x1 before it as in the paper.
    Shape: (B, in_channels, H, W) to (B, num_classes). Arguments and errors: see ``residual_network``.
    """
    return residual_network(
        torchvision.models.resnet50,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        stem=stem,
        pretrained=pretrained,
        freeze=freeze,
    )


def resnet101(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 224,
    stem: Stem = "auto",
    pretrained: bool | str = False,
    freeze: str = "none",
) -> ResNet:
    """ResNet-101: thirty-three bottleneck blocks; 44,549,160 parameters at 1000 classes.

    He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015
    (https://arxiv.org/abs/1512.03385). Network and weights: torchvision. The stride of a stage is in
    its first 3x3 convolution (version 1.5), not in the 1x1 before it as in the paper.
    Shape: (B, in_channels, H, W) to (B, num_classes). Arguments and errors: see ``residual_network``.
    """
    return residual_network(
        torchvision.models.resnet101,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        stem=stem,
        pretrained=pretrained,
        freeze=freeze,
    )


def resnet152(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 224,
    stem: Stem = "auto",
    pretrained: bool | str = False,
    freeze: str = "none",
) -> ResNet:
    """ResNet-152: fifty bottleneck blocks; 60,192,808 parameters at 1000 classes.

    He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015
    (https://arxiv.org/abs/1512.03385). Network and weights: torchvision. The stride of a stage is in
    its first 3x3 convolution (version 1.5), not in the 1x1 before it as in the paper.
    Shape: (B, in_channels, H, W) to (B, num_classes). Arguments and errors: see ``residual_network``.
    """
    return residual_network(
        torchvision.models.resnet152,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        stem=stem,
        pretrained=pretrained,
        freeze=freeze,
    )
