"""What a style transfer task answers for a batch, and what it cannot be asked."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from lightning_modules.models.style_transfer.gatys import Gatys
from lightning_modules.models.style_transfer.stylizer import Stylizer
from lightning_modules.style_transfer_pictures import COLOURS, Part

Row = dict[str, str | float]


class Prediction(TypedDict):
    """Answer for a batch of B contents.

    Attributes:
        picture: uint8 (3, H, W) each, RGB, as large as the content.
        index: int64 (B,), position of each content in its data set.
        seconds: Of painting, for each.
        ssim: Structural similarity to the content, for each.
    """

    picture: list[Tensor]
    index: Tensor
    seconds: list[float]
    ssim: list[float]


class Asked(NamedTuple):
    """What several networks are asked to paint.

    Attributes:
        part: Contents.
        styles: As ``Stylizer.paint``.
        alpha: As ``Stylizer.stylise``.
        blend: As ``Stylizer.paint``.
        is_judged: Whether what is painted is to be judged by its losses, else shown.
    """

    part: Part
    styles: Sequence[Tensor] | None
    alpha: float
    blend: Sequence[float] | None
    is_judged: bool = False


def mean(values: Sequence[Mapping[str, Tensor]], *, sizes: Sequence[int]) -> dict[str, Tensor]:
    """Mean of the numbers of several parts, by how many pictures each has."""
    if len(values) == 1:
        return dict(values[0])
    shares = [size / sum(sizes) for size in sizes]
    return {
        name: torch.stack([share * each[name] for share, each in zip(shares, values, strict=True)]).sum()
        for name in values[0]
    }


def joined(answers: Sequence[Prediction], *, index: Tensor) -> Prediction:
    """One answer of several, for the positions (B,) in the data set."""
    return Prediction(
        picture=[picture for answer in answers for picture in answer["picture"]],
        index=index,
        seconds=[seconds for answer in answers for seconds in answer["seconds"]],
        ssim=[ssim for answer in answers for ssim in answer["ssim"]],
    )


def check_paints_others(model: Stylizer) -> None:
    """Refuse to paint with a model that is one picture.

    Raises:
        ValueError: If it is.
    """
    if model.is_one_picture:
        raise ValueError(
            "this run is one picture, figures/result.png in its folder, and paints no other; train again "
            "with data.content= the other picture"
        )


def check_together(model: Stylizer, other: Stylizer) -> None:
    """Refuse to blend what two models paint.

    Raises:
        ValueError: If one is a picture of another size or no picture, or only one takes a style.
    """
    sizes = [tuple(each.pictures[-1].shape[-2:]) for each in (model, other) if isinstance(each, Gatys)]
    if len(sizes) == 1 or len(set(sizes)) > 1:
        raise ValueError(
            "members that are one picture each are blended with pictures of the same content and size; join "
            "runs of one data.content and data.image_size"
        )
    if model.needs_style != other.needs_style:
        raise ValueError("one member takes a style and another has learnt one; join runs of one kind")


def check_style_given(model: Stylizer, styles: Sequence[Tensor] | None) -> None:
    """Refuse styles for a model that learnt its own, and none for one that must be shown some.

    Raises:
        ValueError: If that is so.
    """
    if styles and not model.needs_style:
        raise ValueError("this run learnt its style, and takes no other: leave style= out")
    if model.needs_style and not styles:
        raise ValueError(
            "this run paints in any style, and was shown none; give one with style=PICTURE (make stylize)"
        )


def check_choices(
    model: Stylizer, *, colour: str, style_scale: float, tile: int | None, key: str = "task.colour"
) -> None:
    """Refuse what does not exist, or does not go with the model.

    Args:
        model: What paints.
        colour: See ``StyleTransferTask``.
        style_scale: See there.
        tile: See there.
        key: Where a person wrote the colour, for messages.

    Raises:
        ValueError: If there is such a thing.
    """
    if colour not in COLOURS:
        raise ValueError(f"{key}={colour} is not one of {', '.join(COLOURS)}")
    if colour == "histogram" and not (model.is_one_picture or model.needs_style):
        raise ValueError(
            f"{key}=histogram makes another style for each content, and this model learns one style; "
            "choose luminance, or model=gatys"
        )
    if style_scale <= 0:
        raise ValueError(f"task.style_scale={style_scale} must be above 0")
    if tile is not None and not model.is_one_picture:
        raise ValueError(f"task.tile={tile} is for model=gatys; set null, which sees whole pictures")
