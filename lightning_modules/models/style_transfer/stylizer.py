"""One face for everything that paints a content picture like a style picture."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.models.style_transfer.features import IMAGENET_MEAN, IMAGENET_STD, Features


class Painted(NamedTuple):
    """Pictures that are about to be judged.

    Attributes:
        pictures: RGB around [0, 1] and not clamped, with a gradient: beyond black and white a clamped one
            would have none. Of the size of the contents, whatever that is; only the one picture of Gatys
            may be smaller while it is trained.
        content: Maps by name of layer that those of the pictures are to be like; None: those of the
            contents themselves.
    """

    pictures: Tensor
    content: Mapping[str, Tensor] | None = None


class Stylizer(nn.Module):
    """Frozen features, and what paints; subclasses say how.

    Pictures are RGB in [0, 1] wherever they go in or out, so that a picture, its variation and its learning
    rate are read in the same unit; only ``maps`` normalises, since only the features ask for it.

    Args:
        features: What judges pictures; nothing here has a gradient or changes its weights.

    Attributes:
        needs_style: Whether the style is an input; otherwise it was learnt.
        is_one_picture: Whether the only thing that is learnt is one picture, which paints no other.
        judged_by: Whether its style loss is that of Gram matrices, or of the channels' means and deviations.
        own_layers: Names of the features' layers that it looks at itself, which must not be trimmed.
        suggested: Names of the layers of content and style that suit it; None: those that suit the features.
    """

    needs_style: bool = False
    is_one_picture: bool = False
    judged_by: Literal["gram", "statistics"] = "gram"
    own_layers: tuple[str, ...] = ()
    suggested: tuple[Sequence[str], Sequence[str]] | None = None

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: Tensor) -> Tensor:
        """What is counted and exported: pictures (B, 3, H, W) painted from contents (B, 3, H, W)."""
        return self.stylise(images, None)

    def paint(
        self, contents: Tensor, styles: Sequence[Tensor] | None, *, blend: Sequence[float] | None = None
    ) -> Painted:
        """Paint while learning.

        Args:
            contents: (B, 3, H, W), RGB in [0, 1].
            styles: For each of the styles that are blended (B, 3, h, w) or (1, 3, h, w), in [0, 1]; None
                where the style is learnt.
            blend: Weight of each style, which sum to 1; None: all alike.
        """
        raise NotImplementedError

    def stylise(
        self,
        images: Tensor,
        styles: Sequence[Tensor] | None,
        *,
        alpha: float = 1.0,
        blend: Sequence[float] | None = None,
    ) -> Tensor:
        """Paint pictures to be shown.

        Args:
            images: (B, 3, H, W), RGB in [0, 1], of any size.
            styles: As ``paint``.
            alpha: From 0, the content, to 1, all of the style.
            blend: As ``paint``.

        Returns:
            Of the shape of ``images``, clamped to [0, 1].

        Raises:
            ValueError: If ``styles`` are needed and missing, or ``alpha`` is not in [0, 1].
        """
        raise NotImplementedError

    def maps(self, pictures: Tensor, *, wanted: Sequence[str]) -> dict[str, Tensor]:
        """The features' maps (B, C, H', W') by name of layer of pictures (B, 3, H, W) in [0, 1]."""
        found: dict[str, Tensor] = self.features(normalised(pictures), wanted=wanted)
        return found


def normalised(pictures: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] as features expect them, with the statistics of ImageNet."""
    mean, std = (pictures.new_tensor(values).view(-1, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (pictures - mean) / std


def blend_weights(blend: Sequence[float] | None, *, count: int, key: str = "task.style_blend") -> list[float]:
    """Weights of several styles, scaled so that they sum to 1.

    Args:
        blend: One for each style; None: all alike.
        count: Styles.
        key: Where a person wrote the weights, for the message.

    Raises:
        ValueError: If there are more or fewer weights than styles, one is negative, or all are 0.
    """
    if blend is None:
        return [1 / count] * count
    if len(blend) != count:
        raise ValueError(
            f"{key}={list(blend)} has {len(blend)} weights and data.style has {count} pictures; give as many "
            "weights as styles, or null to blend them alike"
        )
    if min(blend) < 0 or sum(blend) <= 0:
        raise ValueError(f"{key}={list(blend)} must be at least 0 each, and one of them above 0")
    return [weight / sum(blend) for weight in blend]


def check_alpha(alpha: float) -> float:
    """Refuse a strength that is not in [0, 1].

    Raises:
        ValueError: If it is not.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha} must be from 0, the content, to 1, all of the style")
    return alpha


def resized(pictures: Tensor, size: Sequence[int]) -> Tensor:
    """Pictures (B, 3, H, W) at another height and width; smoothed first where they shrink."""
    if tuple(pictures.shape[-2:]) == tuple(size):
        return pictures
    return functional.interpolate(pictures, size=list(size), mode="bicubic", antialias=True)


def with_longer_side(size: Sequence[int], side: float) -> tuple[int, int]:
    """Height and width of the same shape, whose longer one is ``side``."""
    factor = side / max(size)
    height, width = (max(1, round(length * factor)) for length in size)
    return height, width
