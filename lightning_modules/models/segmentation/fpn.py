"""FPN: a feature pyramid whose levels are summed at one size."""

from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from torch import nn

from lightning_modules.models.segmentation.light_network import LIGHT_CHANNELS, LightNetwork
from lightning_modules.models.segmentation.options import Scale
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.smp_segmenters import smp_segmenter

PYRAMID, SUM, DROPOUT = 64, 32, 0.1


def fpn(
    *,
    num_classes: int = 21,
    scale: Scale = "published",
    encoder: str | None = None,
    pretrained: str = "none",
    load_weights: bool = True,
) -> Segmenter:
    """Panoptic FPN's semantic half: the levels of a feature pyramid, brought to one size and summed.

    Kirillov, Girshick, He, Dollár: Panoptic feature pyramid networks, 2019
    (https://arxiv.org/abs/1901.02446). Network: segmentation-models-pytorch, with its batch norm in the
    encoder; for few pictures on each of several devices set ``trainer.sync_batchnorm=true``.

    Shape: (B, 3, H, W) to (B, num_classes, H, W).

    Args:
        num_classes: With the background; 21 are those of PASCAL VOC.
        scale: ``published``: 23,157,973 parameters at 21 classes; ``light``: 0.7 million, for
            pictures of about 128 pixels.
        encoder: ``light``, with a small decoder; an encoder of segmentation-models-pytorch, or any network
            of timm with maps, with the published decoder; None for light or resnet34, by the scale.
        pretrained: ``none``; ``backbone`` for ImageNet weights of the encoder; or the path of a state-dict
            file.
        load_weights: False builds the same network and leaves its weights random.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    return smp_segmenter(
        "FPN",
        light_network=_light,
        num_classes=num_classes,
        scale=scale,
        encoder=encoder,
        pretrained=pretrained,
        load_weights=load_weights,
    )


def _light(num_classes: int) -> nn.Module:
    decoder = FPNDecoder(
        LIGHT_CHANNELS,
        encoder_depth=4,
        pyramid_channels=PYRAMID,
        segmentation_channels=SUM,
        dropout=DROPOUT,
    )
    return LightNetwork(decoder, channels=SUM, num_classes=num_classes)
