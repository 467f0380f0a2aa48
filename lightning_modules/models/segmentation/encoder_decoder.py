"""One encoder-decoder, to compare ways of unpooling."""

from lightning_modules.models.segmentation.mirrored import VGG16_STAGES, MirroredNetwork, load_vgg16_bn
from lightning_modules.models.segmentation.options import Scale, check_pretrained, is_light
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.unpooling import Unpooling
from lightning_modules.models.segmentation.weights import load_file

NAMED_WEIGHTS = ("none", "backbone")
LIGHT_STAGES = ((32, 1), (64, 2), (128, 2))


def encoder_decoder(
    *,
    num_classes: int = 12,
    scale: Scale = "published",
    unpooling: Unpooling = "nearest",
    pretrained: str = "none",
    load_weights: bool = True,
) -> Segmenter:
    """Encoder and mirrored decoder without skips, in which only the way of unpooling differs.

    Network as in Badrinarayanan, Kendall, Cipolla: SegNet, 2015 (https://arxiv.org/abs/1511.00561), whose
    comparison of decoders this repeats; ``unpooling=max`` at the published scale is SegNet.

    Args:
        num_classes: With the background where the data has one; 12 as published for CamVid.
        scale: ``published``: VGG-16 with batch norm, twice; ``light``: a stem of stride 2 and three stages
            on each side, 0.6 million parameters, for pictures of about 128 pixels.
        unpooling: ``nearest``: each value fills its four places; ``bed_of_nails``: the upper left one;
            ``max``: the one where the pooling found it; ``transposed``: a transposed convolution, whose
            kernels are the only parameters that the others lack.
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
    network = MirroredNetwork(stages=stages, unpooling=unpooling, num_classes=num_classes, has_stem=light)
    load_mirrored(network, pretrained=pretrained, load_weights=load_weights)
    # The stem halves once more.
    return Segmenter(network, body="encoder", divisor=2 ** (len(stages) + light), channels_last=light)


def load_mirrored(network: MirroredNetwork, *, pretrained: str, load_weights: bool) -> None:
    """Load the weights that are asked for; in place.

    Args:
        network: Its encoder is VGG-16 where those of ImageNet are asked for.
        pretrained: ``none``, ``backbone`` or the path of a state-dict file.
        load_weights: False leaves the network as it is.

    Raises:
        ValueError: If the weights do not fit.
        OSError: If published weights cannot be fetched.
    """
    if not load_weights or pretrained == "none":
        return
    if pretrained == "backbone":
        load_vgg16_bn(network.encoder)
    else:
        load_file(network, pretrained, last_layers=("scores.",))
