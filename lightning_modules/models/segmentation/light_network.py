"""The light encoder, and a network of it and a decoder of segmentation-models-pytorch."""

from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.base.initialization import initialize_decoder, initialize_head
from torch import Tensor, nn

from lightning_modules.models.backbones import LIGHT_STAGE_STRIDES, LIGHT_WIDTHS, light_stages
from lightning_modules.models.segmentation.dilation import dilate

LIGHT_CHANNELS = (3, *LIGHT_WIDTHS)
"""Of the images, and of the maps at a half, a quarter, an eighth and a sixteenth of the side."""


class LightEncoder(nn.Module):
    """The light stages, as decoders of segmentation-models-pytorch want them.

    Shape: (B, 3, H, W) to the images and maps at a half, a quarter, an eighth and a sixteenth of the side.

    Args:
        dilated: Whether the last map stays at an eighth of the side.
    """

    def __init__(self, *, dilated: bool = False) -> None:
        super().__init__()
        self.output_stride = max(LIGHT_STAGE_STRIDES.values())
        self.stages = light_stages(norm="batch", strides=tuple(LIGHT_STAGE_STRIDES.values()))
        if dilated:
            dilate(self.stages["layer4"], 2)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images and maps, the finest first."""
        return [images, *self.stages(images).values()]


class LightNetwork(nn.Module):
    """Encoder, decoder and head, with the children that networks of segmentation-models-pytorch have.

    The scores are half as high and wide as the images: at full size, networks of this size that start from
    nothing are slower and learn no finer edges.

    Args:
        decoder: Takes the maps of a ``LightEncoder``.
        channels: That the decoder gives.
        num_classes: With the background.
        dilated: See ``LightEncoder``.
    """

    def __init__(self, decoder: nn.Module, *, channels: int, num_classes: int, dilated: bool = False) -> None:
        super().__init__()
        self.encoder = LightEncoder(dilated=dilated)
        self.decoder = decoder
        self.segmentation_head = SegmentationHead(channels, num_classes, kernel_size=1)
        initialize_decoder(self.decoder)
        initialize_head(self.segmentation_head)

    def forward(self, images: Tensor) -> Tensor:
        """Scores (B, num_classes, H / 2, W / 2) of normalised images (B, 3, H, W)."""
        scores: Tensor = self.segmentation_head(self.decoder(self.encoder(images)))
        return scores
