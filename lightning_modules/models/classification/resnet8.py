"""A light residual network for pictures of about 32 pixels."""

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from lightning_modules.models.weights import prepare

WIDTHS = (32, 64, 128)
SMALLEST_HALVED_IMAGE = 32


class ResNet8(nn.Module):
    """A stem and three stages of one residual block each.

    Args:
        num_classes: C.
        in_channels: Channels of the images.
        stem_stride: 2 leaves half of the side, at a quarter of the cost.
    """

    def __init__(self, *, num_classes: int, in_channels: int, stem_stride: int) -> None:
        super().__init__()
        narrow, middle, wide = WIDTHS
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, narrow, kernel_size=3, stride=stem_stride, padding=1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(inplace=True),
        )
        self.layer1 = BasicBlock(narrow, narrow)
        self.layer2 = _halving_block(narrow, middle)
        self.layer3 = _halving_block(middle, wide)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(wide, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (B, C) of normalised images (B, in_channels, H, W)."""
        features = self.layer3(self.layer2(self.layer1(self.stem(images))))
        scores: Tensor = self.fc(self.pool(features).flatten(1))
        return scores


def resnet8(
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    image_size: int = 32,
    pretrained: bool | str = False,
    freeze: str = "none",
) -> ResNet8:
    """ResNet-8 for small images: three residual blocks of 32, 64 and 128 channels; 308,650 parameters.

    The CIFAR family of He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015
    (https://arxiv.org/abs/1512.03385), with n = 1, projections as shortcuts, twice the width and, from
    32 pixels on, a stem of stride 2, which makes it four times cheaper.

    Shape: (B, in_channels, image_size, image_size) to (B, num_classes).

    Args:
        num_classes: Number of classes.
        in_channels: 1 for grey images, 3 for colour.
        image_size: Side of the images in pixels, about 16 to 64; decides the stride of the stem.
        pretrained: False, or the path of a state-dict file.
        freeze: ``none``, ``all_but_head`` or ``stage:N``, N from 1 to 3.

    Raises:
        ValueError: If the weights do not fit, or ``freeze`` is unknown.
    """
    stem_stride = 2 if image_size >= SMALLEST_HALVED_IMAGE else 1
    model = ResNet8(num_classes=num_classes, in_channels=in_channels, stem_stride=stem_stride)
    prepare(model, pretrained=pretrained, freeze=freeze)
    return model


def _halving_block(channels_in: int, channels_out: int) -> BasicBlock:
    projection = nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=1, stride=2, bias=False),
        nn.BatchNorm2d(channels_out),
    )
    return BasicBlock(channels_in, channels_out, stride=2, downsample=projection)
