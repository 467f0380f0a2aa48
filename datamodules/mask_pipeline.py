"""Recipes for pictures with a class for each pixel: picture and mask move together."""

import random
from typing import Any

import numpy as np

from datamodules.arrays import ByteArray
from datamodules.images import to_grey
from datamodules.picture_pipeline import Composed


class MaskPipeline:
    """One recipe, ready for pictures with masks; made by `datamodules.transforms.compose_masks`.

    Args:
        compose: The steps; None where there are none, which changes nothing but colours of grey data.
        image_size: Side in pixels that the recipe must end with; None for any size.
        channels: 1 makes the result grey, in all three channels.
        moves: Whether any step may move pixels.
        refusals: Errors by which steps say that they cannot take a picture.
        name: Where the recipe stands in the configuration, for messages.
    """

    def __init__(
        self,
        compose: Composed | None,
        *,
        image_size: int | None,
        channels: int,
        moves: bool,
        refusals: tuple[type[Exception], ...],
        name: str,
    ) -> None:
        self._compose = compose
        self._image_size = image_size
        self._channels = channels
        self.moves = moves
        self._refusals = refusals
        self._name = name

    def __call__(self, picture: ByteArray, mask: ByteArray, *, seed: int) -> tuple[ByteArray, ByteArray]:
        """Transform one picture with its mask.

        Args:
            picture: uint8 (H, W, 3), RGB; it is not changed.
            mask: uint8 (H, W), class ids; it is not changed.
            seed: Decides everything random; the same seed gives the same result in any process.

        Returns:
            The new picture and its mask, of one size.

        Raises:
            ValueError: If the recipe gives another size or type, or cannot take the picture.
        """
        if self._compose is not None:
            self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
            targets = {"image": picture, "mask": mask} if self.moves else {"image": picture}
            result = self._run(targets)
            picture, mask = result["image"], result.get("mask", mask)
        self._check(picture, mask)
        return (to_grey(picture) if self._channels == 1 else picture), mask

    def _run(self, targets: dict[str, Any]) -> dict[str, Any]:
        assert self._compose is not None
        try:
            return self._compose(**targets)
        except self._refusals as error:
            height, width = targets["image"].shape[:2]
            raise ValueError(
                f"{self._name} cannot take a picture of {height}x{width} pixels: {error}"
            ) from error

    def _check(self, picture: ByteArray, mask: ByteArray) -> None:
        if picture.dtype != np.uint8 or mask.dtype != np.uint8:
            raise ValueError(
                f"{self._name} gives {picture.dtype} pixels and {mask.dtype} class ids; leave out its steps "
                "that scale or normalise, which happens on the device"
            )
        if picture.shape != (*mask.shape, 3):
            raise ValueError(f"{self._name} gives a picture {picture.shape} with a mask {mask.shape}")
        size = self._image_size
        if size is not None and mask.shape != (size, size):
            raise ValueError(
                f"{self._name} gives pictures of {mask.shape[0]}x{mask.shape[1]} pixels, but "
                f"data.image_size={size}; end the recipe with a crop to that size, with pad_if_needed: true"
            )
