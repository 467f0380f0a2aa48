"""U-Net: a decoder that is joined to its encoder at every size."""

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import nn

from lightning_modules.models.segmentation.light_network import LIGHT_CHANNELS, LightNetwork
from lightning_modules.models.segmentation.options import Scale
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.smp_segmenters import smp_segmenter

DECODER = (64, 48, 32)


def unet(
    *,
    num_classes: int = 21,
    scale: Scale = "published",
    encoder: str | None = None,
    pretrained: str = "none",
    load_weights: bool = True,
) -> Segmenter:
    """U-Net: doubles its maps step by step, each time beside those of the encoder at that size.

    Ronneberger, Fischer, Brox: U-Net, 2015 (https://arxiv.org/abs/1505.04597); an encoder of any kind, and
    padding, are later additions. Network: segmentation-models-pytorch, with its batch norm; for few pictures
    on each of several devices set ``trainer.sync_batchnorm=true``.

    Shape: (B, 3, H, W) to (B, num_classes, H, W).

    Args:
        num_classes: With the background; 21 are those of PASCAL VOC.
        scale: ``published``: 24,439,269 parameters at 21 classes; ``light``: 0.9 million, for
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
        "Unet",
        light_network=_light,
        num_classes=num_classes,
        scale=scale,
        encoder=encoder,
        pretrained=pretrained,
        load_weights=load_weights,
    )


def _light(num_classes: int) -> nn.Module:
    decoder = UnetDecoder(LIGHT_CHANNELS, DECODER, n_blocks=len(DECODER))
    return LightNetwork(decoder, channels=DECODER[-1], num_classes=num_classes)
