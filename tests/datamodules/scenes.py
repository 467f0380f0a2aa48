"""Pictures whose objects can be found again by their colour, whatever a step did to them."""

from typing import Any

import numpy as np
import numpy.typing as npt
from hydra.utils import instantiate
from omegaconf import OmegaConf

from datamodules.boxed_picture import BoxedPicture
from tests.datamodules.writers import CONF, recipes_of

Box = tuple[int, int, int, int]

BOXES: tuple[Box, ...] = ((5, 8, 35, 40), (60, 10, 95, 30), (40, 50, 70, 85))


RECIPES = recipes_of("detection")
"""Recipes for pictures with objects: in evaluation they leave the pictures as they are."""


def scene(
    boxes: tuple[Box, ...] = BOXES, *, height: int = 90, width: int = 110, masks: bool = False
) -> BoxedPicture:
    """Up to three objects on black: object i has label i and is all there is in channel i."""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    for channel, (left, top, right, bottom) in enumerate(boxes):
        picture[top:bottom, left:right, channel] = 255
    corners = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    count = len(boxes)
    return BoxedPicture(
        picture=picture,
        boxes=corners,
        labels=np.arange(count, dtype=np.int64),
        areas=(corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]),
        is_crowd=np.zeros(count, dtype=bool),
        is_difficult=np.arange(count) % 2 == 1,
        masks=np.ascontiguousarray(picture.transpose(2, 0, 1)[:count] // 255) if masks else None,
    )


def found(picture: npt.NDArray[np.uint8], channel: int) -> npt.NDArray[np.bool_]:
    """Pixels of an object, bool (H, W)."""
    return picture[..., channel] > 127


def around(pixels: npt.NDArray[np.bool_]) -> list[int]:
    """Smallest box around pixels."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def recipe(name: str, *, size: int = 64, flip: float = 0.5) -> dict[str, Any]:
    """The parts of a recipe of conf/transforms, built."""
    config = OmegaConf.create(
        {
            "data": {"image_size": size, "horizontal_flip": flip, "min_visibility": 0.25},
            "trainer": {"max_epochs": 20},
            "transforms": OmegaConf.load(CONF / f"transforms/{name}.yaml"),
        }
    )
    plain: Any = OmegaConf.to_container(config, resolve=True)
    built: dict[str, Any] = instantiate(plain["transforms"], _convert_="all")
    return built


def same(one: BoxedPicture, other: BoxedPicture) -> bool:
    """Whether everything is equal, bit by bit."""
    pairs = [(vars(one)[name], vars(other)[name]) for name in vars(one)]
    return all(
        a is b if a is None or b is None else a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs
    )
