"""A backbone with a feature pyramid: maps of one width at several strides."""

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool, LastLevelP6P7

from lightning_modules.models.backbones import Stages, backbone_stages
from lightning_modules.models.detection.options import BackboneChoice, trainable_stages_of
from lightning_modules.models.timm_stages import TimmStages

TRAINABLE_WITH_WEIGHTS = 3
EXTRA_MAPS = {type(None): 0, LastLevelMaxPool: 1, LastLevelP6P7: 2}


class Pyramid(nn.Module):
    """Feature pyramid network on the stages of a backbone.

    Lin and others: Feature pyramid networks for object detection, 2016
    (https://arxiv.org/abs/1612.03144). The state dict has the keys of torchvision's detectors.

    Shape: (B, 3, H, W) to maps of ``out_channels`` at H / strides[i]; the extra block adds coarser ones.

    Args:
        body: Gives maps ``"0"``, ``"1"``, … and knows their ``channels`` and ``strides``.
        out_channels: Channels of every map.
        extra: Adds maps behind the coarsest.

    Attributes:
        strides: Of every map, with the extra ones.
        num_body_maps: How many maps come from the backbone.
    """

    def __init__(self, body: Stages | TimmStages, *, out_channels: int, extra: ExtraFPNBlock | None) -> None:
        super().__init__()
        self.body = body
        channels, strides = list(body.channels), list(body.strides)
        self.num_body_maps = len(strides)
        # Every extra map has half the side of the one before.
        added = EXTRA_MAPS[type(extra)]
        self.strides = (*strides, *(strides[-1] * 2**step for step in range(1, added + 1)))
        self.fpn = FeaturePyramidNetwork(channels, out_channels, extra_blocks=extra)
        self.out_channels = out_channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps of a batch of normalised images, the finest first."""
        maps: dict[str, Tensor] = self.fpn(self.body(images))
        return maps


def build_pyramid(
    choice: BackboneChoice, *, strides: Sequence[int], out_channels: int, extra: ExtraFPNBlock | None
) -> Pyramid:
    """Build a backbone with a feature pyramid on its maps of the given strides.

    Raises:
        ValueError: If the choice is unknown or does not go together.
        OSError: If its weights cannot be fetched.
    """
    body = backbone_stages(
        name=choice.name,
        norm=choice.norm,
        pretrained=choice.pretrained == "backbone",
        finds_weights=choice.pretrained != "none",
        load_weights=choice.load_weights,
        trainable=trainable_stages_of(choice, with_weights=TRAINABLE_WITH_WEIGHTS),
        strides=strides,
    )
    return Pyramid(body, out_channels=out_channels, extra=extra)
