"""The fully convolutional network of torchvision: a dilated residual network and two convolutions."""

from torchvision.models.segmentation.fcn import FCN, FCNHead

from lightning_modules.models.segmentation.options import Scale
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.torchvision_segmenters import Family, torchvision_segmenter


def fcn_resnet50(
    *,
    num_classes: int = 21,
    scale: Scale = "published",
    backbone: str | None = None,
    auxiliary: bool = True,
    pretrained: str = "none",
    load_weights: bool = True,
) -> Segmenter:
    """FCN on a residual network whose last two stages are dilated, as torchvision has it.

    Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation, 2014
    (https://arxiv.org/abs/1411.4038). The paper's own networks, on VGG with skips, are ``fcn32s``,
    ``fcn16s`` and ``fcn8s``. Network and weights: torchvision, with its batch norm; for few pictures on
    each of several devices set ``trainer.sync_batchnorm=true``.

    Shape: (B, 3, H, W) to (B, num_classes, H, W).

    Args:
        num_classes: With the background; 21 as published for PASCAL VOC.
        scale: ``published``: 35,322,218 parameters at 21 classes, 32,957,013 without the auxiliary head;
            ``light``: 0.4 million, for pictures of about 128 pixels.
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
        Family(name="fcn", network=FCN, light_head=FCNHead),
        num_classes=num_classes,
        scale=scale,
        backbone=backbone,
        auxiliary=auxiliary,
        pretrained=pretrained,
        load_weights=load_weights,
    )
