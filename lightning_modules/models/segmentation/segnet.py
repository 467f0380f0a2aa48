"""SegNet: a decoder that puts every value back where the encoder's pooling found it."""

from lightning_modules.models.segmentation.encoder_decoder import NAMED_WEIGHTS, load_mirrored
from lightning_modules.models.segmentation.mirrored import VGG16_STAGES, MirroredNetwork
from lightning_modules.models.segmentation.options import Scale, check_pretrained, is_light
from lightning_modules.models.segmentation.segmenter import Segmenter

LIGHT_STAGES = ((16, 1), (32, 2), (64, 2), (128, 2))


def segnet(
    *,
    num_classes: int = 12,
    scale: Scale = "published",
    pretrained: str = "none",
    load_weights: bool = True,
) -> Segmenter:
    """SegNet: VGG-16 mirrored, with max unpooling at the places that the encoder's poolings remember.

    Badrinarayanan, Kendall, Cipolla: SegNet: A deep convolutional encoder-decoder architecture for image
    segmentation, 2015 (https://arxiv.org/abs/1511.00561).

    Args:
        num_classes: With the background where the data has one; 12 as published for CamVid.
        scale: ``published``: 13 convolutions with batch norm on each side, 29,449,932 parameters at 12
            classes; ``light``: four stages on each side, 0.6 million, for pictures of about 128 pixels.
        pretrained: ``none``; ``backbone`` for ImageNet weights of the encoder; or the path of a
            state-dict file.
        load_weights: False builds the network that goes with ``pretrained`` and leaves it random.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    light = is_light(scale)
    check_pretrained(
        pretrained,
        words=NAMED_WEIGHTS,
        light=light,
        load_weights=load_weights,
        instead="model.scale=published",
    )
    stages = LIGHT_STAGES if light else VGG16_STAGES
    network = MirroredNetwork(stages=stages, unpooling="max", num_classes=num_classes)
    load_mirrored(network, pretrained=pretrained, load_weights=load_weights)
    return Segmenter(network, body="encoder", divisor=2 ** len(stages), channels_last=light)
