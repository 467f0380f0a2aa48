"""What every fully convolutional network of Long, Shelhamer and Darrell is behind its body."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from lightning_modules.models.segmentation.upsampling import bilinear_upsampling

Scorer = Callable[[int], nn.Module]


class FcnNetwork(nn.Module):
    """Scores of the coarsest map, doubled and added to those of finer maps, then enlarged to pixels.

    Shape: (B, 3, H, W) to scores (B, C, H, W).

    Args:
        body: Gives maps ``"0"``, ``"1"``, …, the finest first, each half as fine as the one before; has
            their ``channels`` and ``strides``. Only as many as there are scorers are used, from the end.
        scorers: What builds the layers from the channels of a map to C scores, for the coarsest map first.
        num_classes: C.
        learned: Whether the transposed convolutions learn.
        crops: Pixels cut off at the top and the left of the map that is added at each skip, and at last of
            the scores: what the padding of the body put there. None for a body whose maps lie where their
            strides say.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        scorers: Sequence[Scorer],
        num_classes: int,
        learned: bool,
        crops: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        channels, strides = (list(reversed(_numbers(body, name))) for name in ("channels", "strides"))
        used = strides[: len(scorers)]
        assert all(coarse == 2 * fine for coarse, fine in pairwise(used)), strides
        self.body = body
        self.divisor = used[0]
        self.crops = tuple(crops) if crops else (0,) * len(used)
        self.padded = crops is None
        # Named by the stride, so that a finer network takes what a coarser one has.
        self.scores = nn.ModuleDict(
            {
                f"stride{stride}": scorer(count)
                for stride, count, scorer in zip(used, channels, scorers, strict=False)
            }
        )
        self.doublings = nn.ModuleDict(
            {f"stride{stride}": self._up(num_classes, 2, learned=learned) for stride in used[:-1]}
        )
        self.enlargement = nn.ModuleDict(
            {f"stride{used[-1]}": self._up(num_classes, used[-1], learned=learned)}
        )

    def forward(self, images: Tensor) -> Tensor:
        """Scores of every pixel."""
        maps = list(reversed(self.body(images).values()))
        names = list(self.scores)
        scores: Tensor = self.scores[names[0]](maps[0])
        for position, (coarse, fine) in enumerate(pairwise(names)):
            scores = self.doublings[coarse](scores)
            skip = self.scores[fine](maps[position + 1])
            scores = scores + _cropped(skip, self.crops[position], like=scores)
        return _cropped(self.enlargement[names[-1]](scores), self.crops[-1], like=images)

    def _up(self, channels: int, factor: int, *, learned: bool) -> nn.Module:
        return bilinear_upsampling(channels, factor, padded=self.padded, learned=learned)


def zero_scores(num_classes: int) -> Scorer:
    """Builds a 1x1 convolution that begins with scores of zero, as published."""

    def build(channels: int) -> nn.Module:
        layer = nn.Conv2d(channels, num_classes, 1)
        nn.init.zeros_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
        return layer

    return build


def refined_scores(num_classes: int, *, width: int, norm: Callable[[int], nn.Module], zero: bool) -> Scorer:
    """Builds a 3x3 convolution with norm before the scores.

    Args:
        num_classes: Scores.
        width: Channels between the two convolutions.
        norm: Builds the normalisation from its channels.
        zero: Begin with scores of zero, so that a skip adds nothing yet.
    """

    def build(channels: int) -> nn.Module:
        convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        score = zero_scores(num_classes)(width) if zero else nn.Conv2d(width, num_classes, 1)
        return nn.Sequential(convolution, norm(width), nn.ReLU(inplace=True), score)

    return build


def _numbers(body: nn.Module, name: str) -> Sequence[int]:
    found = getattr(body, name)
    assert isinstance(found, tuple)
    return found


def _cropped(map_: Tensor, offset: int, *, like: Tensor) -> Tensor:
    height, width = like.shape[-2:]
    return map_[..., offset : offset + height, offset : offset + width]
