"""DeepLabV3: kernels with gaps of several widths, side by side."""

from torch import nn
from torchvision.models.segmentation.deeplabv3 import ASPP, DeepLabV3

from lightning_modules.models.segmentation.options import Scale
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.torchvision_segmenters import Family, torchvision_segmenter

# 12, 24 and 36 pixels at a quarter of the side; the published 96 to 288 would lie outside a small picture.
LIGHT_RATES = (3, 6, 9)
LIGHT_CHANNELS = 48
LIGHT_DROPOUT = 0.1


def deeplabv3(
    *,
    num_classes: int = 21,
    scale: Scale = "published",
    backbone: str | None = None,
    auxiliary: bool = True,
    pretrained: str = "none",
    load_weights: bool = True,
) -> Segmenter:
    """DeepLabV3: pooling of a pyramid of dilated convolutions on a dilated residual network.

    Chen, Papandreou, Schroff, Adam: Rethinking atrous convolution for semantic image segmentation, 2017
    (https://arxiv.org/abs/1706.05587). Network and weights: torchvision, with its batch norm; for few
    pictures on each of several devices set ``trainer.sync_batchnorm=true``.

    Shape: (B, 3, H, W) to (B, num_classes, H, W).

    Args:
        num_classes: With the background; 21 as published for PASCAL VOC.
        scale: ``published``: 42,004,074 parameters at 21 classes, 39,638,869 without the auxiliary head;
            ``light``: 0.5 million, for pictures of about 128 pixels.
        backbone: ``light``, ``resnet50`` or ``resnet101``; None for light or resnet50, by the scale.
        auxiliary: Whether a second head on the last stage but one learns, too.
        pretrained: ``none``; ``backbone`` for ImageNet weights; ``coco`` for the whole published network
            (COCO's pictures with the classes of VOC), without its last layers where the number of classes
            differs; or the path of a state-dict file.
        load_weights: False builds the network that goes with ``pretrained`` and leaves it random.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    return torchvision_segmenter(
        Family(name="deeplabv3", network=DeepLabV3, light_head=_light_head),
        num_classes=num_classes,
        scale=scale,
        backbone=backbone,
        auxiliary=auxiliary,
        pretrained=pretrained,
        load_weights=load_weights,
    )


def _light_head(channels: int, num_classes: int) -> nn.Sequential:
    """The head of torchvision with fewer channels, narrower gaps and less dropout."""
    pyramid = ASPP(channels, LIGHT_RATES, LIGHT_CHANNELS)
    for module in pyramid.modules():
        if isinstance(module, nn.Dropout):
            module.p = LIGHT_DROPOUT
    return nn.Sequential(
        pyramid,
        nn.Conv2d(LIGHT_CHANNELS, LIGHT_CHANNELS, 3, padding=1, bias=False),
        nn.BatchNorm2d(LIGHT_CHANNELS),
        nn.ReLU(),
        nn.Conv2d(LIGHT_CHANNELS, num_classes, 1),
    )
