"""Style transfer as it began: the picture itself is what is learnt."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lightning_modules.models.style_transfer.features import Features
from lightning_modules.models.style_transfer.stylizer import (
    Painted,
    Stylizer,
    check_alpha,
    resized,
    with_longer_side,
)

Start = Literal["content", "style", "noise"]
STARTS: tuple[Start, ...] = get_args(Start)


class Gatys(Stylizer):
    """One picture, at one size or at several from coarse to fine.

    The picture is a parameter in [0, 1], the space in which it is shown. Normalised values would be the same
    but for a factor of 4.4, which L-BFGS does not notice, and would have to be explained at every learning
    rate. It is not clamped while it is painted: a clamped value has no gradient.

    Args:
        features: See ``Stylizer``.
        sizes: Height and width of the picture at each stage; the last is that of the content.
        start: What it is before the first step.
        seed: Of the noise.

    Attributes:
        pictures: (1, 3, h, w) for each size. Those of later stages are black until it is their turn.
        active: int64 (), the stage that is painted now.
    """

    is_one_picture = True
    active: Tensor

    def __init__(
        self, features: Features, *, sizes: Sequence[tuple[int, int]], start: Start, seed: int
    ) -> None:
        super().__init__(features)
        self.pictures = nn.ParameterList(torch.zeros(1, 3, *size) for size in sizes)
        self.start = start
        self.seed = seed
        self.register_buffer("active", torch.tensor(0))

    @torch.no_grad()
    def begin(self, content: Tensor, style: Tensor) -> None:
        """Put the first picture there.

        Args:
            content: (1, 3, H, W), RGB in [0, 1].
            style: (1, 3, h, w), RGB in [0, 1].
        """
        first = self.pictures[0]
        size = first.shape[-2:]
        if self.start == "noise":
            generator = torch.Generator().manual_seed(self.seed)  # on the CPU: the same on every device
            first.copy_(torch.rand(first.shape, generator=generator))
        else:
            first.copy_(resized(content, size) if self.start == "content" else _covering(style, size))

    @torch.no_grad()
    def enlarge(self) -> None:
        """Go on with the next size: its picture is the one so far, enlarged."""
        stage = int(self.active) + 1
        self.pictures[stage].copy_(resized(self.pictures[stage - 1], self.pictures[stage].shape[-2:]))
        self.active.fill_(stage)

    def paint(
        self, contents: Tensor, styles: Sequence[Tensor] | None, *, blend: Sequence[float] | None = None
    ) -> Painted:
        """The picture: at its present size while it is trained, else at the content's."""
        active = self.pictures[int(self.active)]
        if not self.training:
            return Painted(resized(active, self.pictures[-1].shape[-2:]))
        # The gradient of all other sizes is 0 and not None: several processes would wait for it, and
        # L-BFGS, which sees all of them as one vector, goes the same way as without them.
        others = [each.sum() for each in self.pictures if each is not active]
        return Painted(active + 0.0 * torch.stack(others).sum() if others else active)

    def stylise(
        self,
        images: Tensor,
        styles: Sequence[Tensor] | None,
        *,
        alpha: float = 1.0,
        blend: Sequence[float] | None = None,
    ) -> Tensor:
        """The picture, for its own content; see ``Stylizer``.

        Raises:
            ValueError: If the images have another size: they are others than the one that was painted.
        """
        size = self.pictures[-1].shape[-2:]
        if images.shape[-2:] != size:
            raise ValueError(
                f"model=gatys is one picture of {size[1]} x {size[0]} pixels and paints no other; train "
                "again with data.content= the other picture"
            )
        picture = resized(self.pictures[int(self.active)], size).clamp(0, 1)
        return torch.lerp(images, picture.expand_as(images), check_alpha(alpha))

    def dense_forward(self, images: Tensor) -> Tensor:
        """What one evaluation of the losses costs: the features of normalised images."""
        deepest = self.features.layers[-1]
        found: dict[str, Tensor] = self.features(images, wanted=[deepest])
        return found[deepest]

    def no_weight_decay(self) -> set[str]:
        """The pictures: decay would darken them."""
        return {f"pictures.{stage}" for stage in range(len(self.pictures))}


def gatys(
    *,
    features: Features,
    content_size: Sequence[int] | None = None,
    sizes: Sequence[int] | None = None,
    start: Start = "content",
    seed: int = 0,
) -> Gatys:
    """One picture that is painted by gradient descent on its pixels; 196,608 of them at 256 x 256.

    Gatys, Ecker, Bethge: Image style transfer using convolutional neural networks, 2016
    (https://openaccess.thecvf.com/content_cvpr_2016/html/Gatys_Image_Style_Transfer_CVPR_2016_paper.html).
    From coarse to fine as in Gatys and others: Controlling perceptual factors in neural style transfer, 2017
    (https://arxiv.org/abs/1611.07865): each size is painted for the same share of the steps.

    Args:
        features: What judges the picture.
        content_size: Height and width of the content picture.
        sizes: Longer sides in pixels, rising, the last being the content's; None: only that one.
        start: ``content``, ``style`` (the first style picture, which fills the size) or ``noise``.
        seed: Of the noise.

    Raises:
        ValueError: If an argument is out of its range.
    """
    if start not in STARTS:
        raise ValueError(f"model.start={start} is not one of {', '.join(STARTS)}")
    if content_size is None:
        raise ValueError(
            "model.content_size=null: model=gatys paints one picture, and this data has many; choose "
            "data=picture_and_style"
        )
    sides = _checked_sides(sizes, last=max(content_size))
    return Gatys(
        features, sizes=[with_longer_side(content_size, side) for side in sides], start=start, seed=seed
    )


def _checked_sides(sizes: Sequence[int] | None, *, last: int) -> list[int]:
    sides = [last] if sizes is None else list(sizes)
    if not sides or sides != sorted(set(sides)) or sides[0] < 1 or sides[-1] != last:
        raise ValueError(
            f"model.sizes={sides} must rise to {last}, the content's longer side (data.image_size), such as "
            f"[{max(1, last // 2)}, {last}]; null paints at that size only"
        )
    return sides


def _covering(picture: Tensor, size: Sequence[int]) -> Tensor:
    """The middle of a picture (1, 3, h, w), as much of it as fits the shape, at a height and width."""
    height, width = picture.shape[-2:]
    factor = min(height / size[0], width / size[1])
    high, wide = max(1, int(size[0] * factor)), max(1, int(size[1] * factor))
    top, left = (height - high) // 2, (width - wide) // 2
    return resized(picture[..., top : top + high, left : left + wide], size)
