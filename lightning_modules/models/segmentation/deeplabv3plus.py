"""DeepLabV3+: DeepLabV3 with a small decoder for the edges."""

from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3PlusDecoder
from torch import Tensor, nn

from lightning_modules.models.segmentation.light_network import LIGHT_CHANNELS, LightNetwork
from lightning_modules.models.segmentation.options import Scale
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.models.segmentation.smp_segmenters import smp_segmenter

# The published 12, 24 and 36 places of a sixteenth would all lie outside a picture of 128 pixels.
RATES = (2, 4, 6)
CHANNELS, DROPOUT = 64, 0.1


def deeplabv3plus(
    *,
    num_classes: int = 21,
    scale: Scale = "published",
    encoder: str | None = None,
    pretrained: str = "none",
    load_weights: bool = True,
) -> Segmenter:
    """DeepLabV3+: a pyramid of separable dilated convolutions, then once more the fine map of the encoder.

    Chen, Zhu, Papandreou, Schroff, Adam: Encoder-decoder with atrous separable convolution for semantic
    image segmentation, 2018 (https://arxiv.org/abs/1802.02611). Network: segmentation-models-pytorch, with
    its batch norm; for few pictures on each of several devices set ``trainer.sync_batchnorm=true``.

    Shape: (B, 3, H, W) to (B, num_classes, H, W).

    Args:
        num_classes: With the background; 21 are those of PASCAL VOC.
        scale: ``published``: 22,442,597 parameters at 21 classes; ``light``: 0.7 million, for
            pictures of about 128 pixels.
        encoder: ``light``, with a small decoder; an encoder of segmentation-models-pytorch, or any network
            of timm whose last maps can be dilated, with the published decoder; None for light or resnet34,
            by the scale.
        pretrained: ``none``; ``backbone`` for ImageNet weights of the encoder; or the path of a state-dict
            file.
        load_weights: False builds the same network and leaves its weights random.

    Raises:
        ValueError: If an argument is unknown or does not go with the others.
        OSError: If published weights cannot be fetched.
    """
    return smp_segmenter(
        "DeepLabV3Plus",
        light_network=_light,
        num_classes=num_classes,
        scale=scale,
        encoder=encoder,
        pretrained=pretrained,
        load_weights=load_weights,
    )


def _light(num_classes: int) -> nn.Module:
    return LightNetwork(_FinerDecoder(), channels=CHANNELS, num_classes=num_classes, dilated=True)


class _FinerDecoder(DeepLabV3PlusDecoder):  # type: ignore[misc]
    """Pyramid at an eighth of the side and answer at a half: for objects with strokes of a few pixels."""

    def __init__(self) -> None:
        super().__init__(
            (LIGHT_CHANNELS[0], *LIGHT_CHANNELS),
            encoder_depth=4,
            out_channels=CHANNELS,
            atrous_rates=RATES,
            output_stride=16,
            aspp_separable=True,
            aspp_dropout=DROPOUT,
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map of half the side; the published decoder would take the map of a quarter as the fine one."""
        answer: Tensor = super().forward([maps[0], *maps])
        return answer
