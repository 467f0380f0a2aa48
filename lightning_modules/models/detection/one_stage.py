"""What the detectors with one stage share."""

from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from lightning_modules.models.detection.options import BackboneChoice
from lightning_modules.models.detection.pyramid import Pyramid, build_pyramid

PUBLISHED_STRIDES = (8, 16, 32)
PUBLISHED_CHANNELS = 256
LIGHT_STRIDES = (4, 8)
LIGHT_CHANNELS = 64


def one_stage_pyramid(choice: BackboneChoice, *, light: bool) -> Pyramid:
    """A pyramid for heads that answer at every place.

    Args:
        choice: Of the backbone.
        light: Maps at a quarter and an eighth of the side; otherwise at an eighth to a 128th.

    Raises:
        ValueError: If the choice does not go together.
        OSError: If its weights cannot be fetched.
    """
    if light:
        return build_pyramid(choice, strides=LIGHT_STRIDES, out_channels=LIGHT_CHANNELS, extra=None)
    extra = LastLevelP6P7(PUBLISHED_CHANNELS, PUBLISHED_CHANNELS)
    return build_pyramid(choice, strides=PUBLISHED_STRIDES, out_channels=PUBLISHED_CHANNELS, extra=extra)
