"""An encoder of convolutions and max poolings, and a decoder that mirrors it."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VGG16_BN_Weights

from lightning_modules.models.published_weights import fetch
from lightning_modules.models.segmentation.unpooling import unpooling_layer

# Channels and convolutions of each stage.
Stage = tuple[int, int]
VGG16_STAGES: tuple[Stage, ...] = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class MirroredNetwork(nn.Module):
    """Stages that end in a max pooling, and the same in reverse, each of which begins with an unpooling.

    Nothing else leads from one half to the other: where an edge was, only the unpooling can know.

    Shape: (B, 3, H, W) to (B, C, H, W), or half as high and wide with a stem; H and W are multiples of 2 to
    the number of stages, and of twice that with a stem.

    Args:
        stages: Channels and number of convolutions of each, from the image on.
        unpooling: ``nearest``, ``bed_of_nails``, ``max`` or ``transposed``.
        num_classes: C.
        has_stem: Whether a 7x7 convolution of stride 2 comes first.
    """

    def __init__(
        self, *, stages: Sequence[Stage], unpooling: str, num_classes: int, has_stem: bool = False
    ) -> None:
        super().__init__()
        self.encoder = PoolingEncoder(stages, has_stem=has_stem)
        self.unpoolings = nn.ModuleList(
            [unpooling_layer(unpooling, channels=width) for width, _ in reversed(stages)]
        )
        widths = [stages[0][0], *(width for width, _ in stages[:-1])]
        decoder = [
            _convolutions([width] * count + [before])
            for (width, count), before in zip(stages, widths, strict=True)
        ]
        # The last convolution of all gives the scores.
        decoder[0] = nn.Sequential(*list(decoder[0])[:-3])
        self.decoder = nn.ModuleList(reversed(decoder))
        self.scores = nn.Conv2d(stages[0][0], num_classes, 3, padding=1)
        nn.init.kaiming_normal_(self.scores.weight, nonlinearity="linear")

    def forward(self, images: Tensor) -> Tensor:
        """Scores of normalised images."""
        map_, indices = self.encoder(images)
        for unpool, stage, positions in zip(self.unpoolings, self.decoder, reversed(indices), strict=True):
            map_ = stage(unpool(map_, positions))
        scores: Tensor = self.scores(map_)
        return scores


class PoolingEncoder(nn.Module):
    """Stages of convolutions with batch norm, each followed by a 2x2 max pooling.

    Shape: (B, 3, H, W) to the last pooled map, and of each pooling the positions of its maxima.

    Args:
        stages: Channels and number of convolutions of each.
        has_stem: Whether a 7x7 convolution of stride 2 comes first.
    """

    def __init__(self, stages: Sequence[Stage], *, has_stem: bool) -> None:
        super().__init__()
        first = stages[0][0] if has_stem else 3
        self.stem = _stem(first) if has_stem else nn.Identity()
        widths = [first, *(width for width, _ in stages)]
        self.stages = nn.ModuleList(
            _convolutions([before] + [width] * count)
            for before, (width, count) in zip(widths, stages, strict=False)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Last map, and positions of the maxima."""
        map_: Tensor = self.stem(images)
        indices = []
        for stage in self.stages:
            map_, positions = functional.max_pool2d(stage(map_), 2, return_indices=True)
            indices.append(positions)
        return map_, indices


def load_vgg16_bn(encoder: PoolingEncoder) -> None:
    """Give the ImageNet weights of torchvision's VGG-16 with batch norm to an encoder; in place.

    Args:
        encoder: Of ``VGG16_STAGES``, without a stem.

    Raises:
        OSError: If they cannot be fetched.
    """
    state = fetch(VGG16_BN_Weights.IMAGENET1K_V1, word="backbone")
    # Both have convolution and norm in turn; only the names differ. Old files count no batches.
    features = [value for key, value in state.items() if key.startswith("features.") and value.ndim > 0]
    own = encoder.state_dict()
    names = [key for key, value in own.items() if value.ndim > 0]
    encoder.load_state_dict(own | dict(zip(names, features, strict=True)))


def _convolutions(widths: Sequence[int]) -> nn.Sequential:
    """A 3x3 convolution with batch norm and ReLU for each step from one width to the next."""
    layers: list[nn.Module] = []
    for before, width in pairwise(widths):
        convolution = nn.Conv2d(before, width, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _stem(width: int) -> nn.Sequential:
    convolution = nn.Conv2d(3, width, 7, stride=2, padding=3)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
