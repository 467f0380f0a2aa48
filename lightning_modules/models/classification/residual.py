"""What the residual networks of torchvision share: a stem that fits the images, weights, freezing."""

from collections.abc import Callable

from torch import nn
from torchvision.models import ResNet

from lightning_modules.models.stems import Stem, wants_small_stem
from lightning_modules.models.torchvision_weights import published
from lightning_modules.models.weights import prepare


def residual_network(
    build: Callable[..., ResNet],
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
    stem: Stem,
    pretrained: bool | str,
    freeze: str,
) -> ResNet:
    """Build one of torchvision's residual networks.

    Args:
        build: torchvision's constructor.
        num_classes: Number of classes.
        in_channels: 1 for grey images, 3 for colour; weights for 3 are adapted.
        image_size: Side of the images in pixels; decides ``stem=auto``.
        stem: ``imagenet``: 7x7 of stride 2 and a pooling, which leaves a quarter of the side;
            ``small``: 3x3 of stride 1 and no pooling; ``auto``: small up to 64 pixels, unless published
            weights are asked for.
        pretrained: True for torchvision's weights, or the path of a state-dict file.
        freeze: ``none``, ``all_but_head`` or ``stage:N``, N from 1 to 4.

    Raises:
        ValueError: If ``stem`` or ``freeze`` is unknown, or the weights do not fit.
        OSError: If the published weights cannot be fetched.
    """
    is_small = wants_small_stem(stem=stem, image_size=image_size, pretrained=pretrained)
    network = build(num_classes=num_classes)
    if is_small:
        network.conv1 = _convolution(in_channels, kernel_size=3, stride=1)
        network.maxpool = nn.Identity()
    elif in_channels != 3:
        network.conv1 = _convolution(in_channels, kernel_size=7, stride=2)
    prepare(network, pretrained=pretrained, freeze=freeze, published=lambda: published(build.__name__))
    return network


def _convolution(in_channels: int, *, kernel_size: int, stride: int) -> nn.Conv2d:
    layer = nn.Conv2d(
        in_channels, 64, kernel_size=kernel_size, stride=stride, padding=kernel_size // 2, bias=False
    )
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer
