"""Recipes for pictures without targets: what classification trains on, and what is measured of it."""

import random
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from datamodules.arrays import ByteArray
from datamodules.images import to_grey


class Composed(Protocol):
    """What recipes need of albumentations' Compose."""

    def set_random_state(self, random_generator: np.random.Generator, py_random: random.Random) -> None:
        """Hand generators to all steps."""

    def __call__(self, **data: Any) -> dict[str, Any]:
        """Transform ``image`` and, where given, ``mask``, ``bboxes`` and ``masks``."""


class Pipeline:
    """One recipe, ready for pictures.

    Args:
        compose: The steps.
        image_size: Side in pixels that the recipe must end with; None for any size.
        channels: 1 makes the result grey, in all three channels.
        name: Where the recipe stands in the configuration, for messages.
    """

    def __init__(self, compose: Composed, *, image_size: int | None, channels: int, name: str) -> None:
        self._compose = compose
        self._image_size = image_size
        self._channels = channels
        self._name = name

    def __call__(self, picture: ByteArray, *, seed: int) -> Tensor:
        """Transform one picture.

        Args:
            picture: uint8 (H, W, 3), RGB.
            seed: Decides everything random; the same seed gives the same result in any process.

        Returns:
            uint8 (3, image_size, image_size), or (3, H', W') where any size will do; RGB.

        Raises:
            ValueError: If the recipe gives another size or type, or cannot take the picture.
        """
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        result = self._compose(image=picture)["image"]
        self._check(result)
        if self._channels == 1:
            result = to_grey(result)
        return torch.from_numpy(np.ascontiguousarray(result.transpose(2, 0, 1)))

    def _check(self, result: ByteArray) -> None:
        size = self._image_size
        if size is not None and result.shape != (size, size, 3):
            raise ValueError(
                f"{self._name} gives pictures of {result.shape[0]}x{result.shape[1]} pixels, but "
                f"data.image_size={size}; end the recipe with a crop or resize to that size"
            )
        if result.dtype != np.uint8:
            raise ValueError(
                f"{self._name} gives {result.dtype} pixels; leave out its steps that scale or normalise, "
                "which happens on the device"
            )
