"""Recipes for pictures with objects: what happens to labels, areas and masks while boxes move."""

import random
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from datamodules.arrays import ByteArray, IntArray
from datamodules.boxed_picture import BoxedPicture, FloatArray
from datamodules.images import to_grey
from datamodules.picture_pipeline import Composed

MIN_SIDE = 1.0
"""Width and height in pixels below which a moved box is dropped: nothing is left to learn from it."""


class BoxPipeline:
    """One recipe, ready for pictures with objects; made by `datamodules.transforms.compose_boxes`.

    Args:
        compose: The steps; None where there are none, which changes nothing but colours of grey data.
        channels: 1 makes the result grey, in all three channels.
        moves: Whether any step may move, cut or drop objects.
        refusals: Errors by which steps say that they cannot take a picture.
        name: Where the recipe stands in the configuration, for messages.
    """

    def __init__(
        self,
        compose: Composed | None,
        *,
        channels: int,
        moves: bool,
        refusals: tuple[type[Exception], ...],
        name: str,
    ) -> None:
        self._compose = compose
        self._refusals = refusals
        self._channels = channels
        self.moves = moves
        self._name = name

    def __call__(self, picture: BoxedPicture, *, seed: int) -> BoxedPicture:
        """Transform one picture with its objects.

        Objects that leave the picture are dropped with everything that belongs to them. Where there are
        masks, boxes are tight around them afterwards and areas count their pixels; elsewhere areas scale
        with the boxes.

        Args:
            picture: Any number of objects, none included; its arrays are not changed.
            seed: Decides everything random; the same seed gives the same result in any process.

        Returns:
            The new picture, of any size.

        Raises:
            ValueError: If the recipe gives another type, or cannot take the picture.
        """
        if self._compose is None:
            return self._in_channels(picture)
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        moved = self._moved(picture) if self.moves else self._recoloured(picture)
        self._check(moved.picture)
        return self._in_channels(moved)

    def _recoloured(self, picture: BoxedPicture) -> BoxedPicture:
        return replace(picture, picture=self._run(image=picture.picture)["image"])

    def _moved(self, picture: BoxedPicture) -> BoxedPicture:
        has_masks = picture.masks is not None and len(picture) > 0
        targets = {"masks": picture.masks} if has_masks else {}
        result = self._run(image=picture.picture, bboxes=_numbered(picture.boxes), **targets)
        rows = result["bboxes"].reshape(-1, 5) if len(result["bboxes"]) else np.empty((0, 5), np.float32)
        positions = rows[:, 4].astype(np.int64)
        masks = result["masks"] if has_masks else None
        if picture.masks is not None and masks is None:
            masks = np.zeros((0, *result["image"].shape[:2]), np.uint8)
        moved = _with_boxes(picture, rows[:, :4].astype(np.float32), positions)
        moved = replace(moved, picture=result["image"], masks=None if masks is None else masks[positions])
        return tightened(moved) if has_masks else moved

    def _run(self, **targets: Any) -> dict[str, Any]:
        assert self._compose is not None
        try:
            return self._compose(**targets)
        except self._refusals as error:
            height, width = targets["image"].shape[:2]
            raise ValueError(
                f"{self._name} cannot take a picture of {height}x{width} pixels: {error}"
            ) from error

    def _check(self, result: ByteArray) -> None:
        if result.dtype != np.uint8:
            raise ValueError(
                f"{self._name} gives {result.dtype} pixels; leave out its steps that scale or normalise, "
                "which happens on the device"
            )
        if result.ndim != 3 or result.shape[2] != 3:
            raise ValueError(f"{self._name} gives an array of shape {result.shape}, not (height, width, 3)")

    def _in_channels(self, picture: BoxedPicture) -> BoxedPicture:
        return replace(picture, picture=to_grey(picture.picture)) if self._channels == 1 else picture


def tightened(picture: BoxedPicture) -> BoxedPicture:
    """Make boxes tight around the masks and areas their pixels; objects with an empty mask are dropped.

    Args:
        picture: With masks, otherwise it is given back as it is.
    """
    if picture.masks is None:
        return picture
    areas = np.array([cv2.countNonZero(mask) for mask in picture.masks], dtype=np.float32)
    kept = picture.chosen(areas > 0)
    return replace(kept, boxes=tight_boxes(kept.masks), areas=areas[areas > 0])


def tight_boxes(masks: ByteArray | None) -> FloatArray:
    """Smallest boxes around masks.

    Args:
        masks: uint8 (N, H, W), not 0 inside an object.

    Returns:
        float32 (N, 4), x1 y1 x2 y2 in pixels, x2 and y2 exclusive; zeros for an empty mask.
    """
    found = [cv2.boundingRect(mask) for mask in masks] if masks is not None else []
    corners = np.array(found, dtype=np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return corners


def box_areas(boxes: FloatArray) -> FloatArray:
    """Areas in pixels (N,) of boxes (N, 4) given as x1 y1 x2 y2."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), dtype=np.float32)


def _numbered(boxes: FloatArray) -> FloatArray:
    """Boxes with their position as a fifth column, which albumentations carries along."""
    return np.column_stack([boxes, np.arange(len(boxes), dtype=np.float32)]).astype(np.float32)


def _with_boxes(picture: BoxedPicture, boxes: FloatArray, positions: IntArray) -> BoxedPicture:
    """The objects at the positions, with new boxes and areas; masks are left out."""
    kept = replace(picture, masks=None).chosen(positions)
    growth = box_areas(boxes) / np.maximum(box_areas(kept.boxes), 1e-6)
    return replace(kept, boxes=boxes, areas=(kept.areas * growth).astype(np.float32))
