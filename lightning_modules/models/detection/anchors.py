"""The boxes that a detector starts from at every place of its maps."""

from collections.abc import Sequence
from typing import Literal

import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator

Shapes = Sequence[Sequence[float]]
"""Width and height in pixels of the network's input, of each anchor."""

Anchors = Sequence[Sequence[float]] | Literal["kmeans"]
"""Shapes, or the word with which a configuration asks for some that are found in the data."""

PUBLISHED_RATIOS = (0.5, 1.0, 2.0)
LIGHT_RATIOS = (1.0, 1.5, 2.0)
LIGHT_SIZES = ((12.0, 18.0), (26.0, 38.0))
# For networks that tell the class at the place itself: nearly all objects on the finer map, where a digit
# can be read, and one shape, so that every anchor sees enough of them.
DENSE_LIGHT_SIZES = ((13.0, 19.0, 28.0), (40.0, 52.0, 64.0))
DENSE_LIGHT_RATIOS = (1.5,)
LIGHT_IMAGE_SIZE = 128


class GivenAnchors(AnchorGenerator):  # type: ignore[misc]
    """Anchors of exactly the given sizes, such as those that k-means finds in a data set.

    Args:
        anchors: Width and height in pixels of the network's input, for each level.
    """

    def __init__(self, anchors: Sequence[Shapes]) -> None:
        # The sizes are only counted by the base class; its anchors are replaced below.
        sizes = tuple(tuple(float(width * height) ** 0.5 for width, height in level) for level in anchors)
        super().__init__(sizes=sizes, aspect_ratios=((1.0,),) * len(anchors))
        self.cell_anchors = [_centred(level) for level in anchors]


def dealt(anchors: Anchors, *, levels: int) -> list[Shapes]:
    """Deal anchors to the levels of a pyramid in equal number, the smallest to the finest.

    Args:
        anchors: Width and height in pixels of the network's input.
        levels: Number of levels, at least 1.

    Raises:
        ValueError: If the anchors are no pairs above 0, or their number is no multiple of the levels.
    """
    if not anchors or isinstance(anchors, str) or any(len(pair) != 2 or min(pair) <= 0 for pair in anchors):
        raise ValueError(f"model.anchors={anchors} must be a list of [width, height], both above 0")
    if len(anchors) % levels:
        raise ValueError(
            f"model.anchors has {len(anchors)} anchors, but the network has {levels} levels; "
            f"give a multiple of {levels} (with model.anchors=kmeans: model.num_anchors={levels * 2})"
        )
    ordered = sorted(anchors, key=lambda anchor: anchor[0] * anchor[1])
    count = len(anchors) // levels
    return [ordered[start : start + count] for start in range(0, len(ordered), count)]


def anchor_generator(
    anchors: Anchors | None, *, sizes: Sequence[Sequence[float]], ratios: Sequence[float]
) -> AnchorGenerator:
    """Given anchors, or those of every size and ratio.

    Args:
        anchors: Width and height in pixels of the network's input; None for the others.
        sizes: Square roots of the areas in pixels, for each level.
        ratios: Height divided by width.

    Raises:
        ValueError: See ``dealt``.
    """
    if anchors is not None:
        return GivenAnchors(dealt(anchors, levels=len(sizes)))
    return AnchorGenerator(
        sizes=tuple(tuple(level) for level in sizes), aspect_ratios=(tuple(ratios),) * len(sizes)
    )


def of_every(sizes: Sequence[Sequence[float]], ratios: Sequence[float]) -> list[Shapes]:
    """Width and height of an anchor of every size and ratio, for each level; see ``anchor_generator``."""
    return [[[size / ratio**0.5, size * ratio**0.5] for ratio in ratios for size in level] for level in sizes]


def light_sizes(image_size: int) -> list[list[float]]:
    """Anchor sizes of two levels that fit objects of 12 to 50 pixels in pictures of 128.

    Args:
        image_size: Short side that the network sees, in pixels; the sizes grow with it.
    """
    return [[size * image_size / LIGHT_IMAGE_SIZE for size in level] for level in LIGHT_SIZES]


def dense_light_sizes(image_size: int) -> list[list[float]]:
    """As ``light_sizes``, for networks with one stage."""
    return [[size * image_size / LIGHT_IMAGE_SIZE for size in level] for level in DENSE_LIGHT_SIZES]


def _centred(level: Shapes) -> torch.Tensor:
    halves = torch.tensor([list(anchor) for anchor in level], dtype=torch.float32, device="cpu") / 2
    return torch.cat([-halves, halves], dim=1)
