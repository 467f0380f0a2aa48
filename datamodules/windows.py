"""A part of a resized picture, as crops, canvases and collages show it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.box_pipeline import MIN_SIDE, box_areas, tightened
from datamodules.boxed_picture import BoxedPicture

GREY = (124, 116, 104)  # mean of ImageNet's pixels, RGB

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which part of a resized picture is shown; sizes are (height, width) in pixels.

    Attributes:
        resized: Size to which the picture is brought first.
        left: First column of the window in the resized picture; negative where there is a margin.
        top: First row.
        size: Size of the result.
    """

    resized: tuple[int, int]
    left: int
    top: int
    size: tuple[int, int]

    def show(self, picture: Array, *, fill: Sequence[float], is_mask: bool) -> Array:
        """Resize, cut out and fill margins.

        Args:
            picture: uint8 (H, W) or (H, W, 3).
            fill: One value for each channel.
            is_mask: Whether values must stay as they are, so that none lie between two of them.
        """
        large = _resized(picture, self.resized, is_mask=is_mask)
        height, width = self.size
        shown = large[max(self.top, 0) : self.top + height, max(self.left, 0) : self.left + width]
        if shown.shape[:2] == self.size:
            return shown
        canvas = np.empty((height, width, *picture.shape[2:]), dtype=picture.dtype)
        canvas[...] = fill if picture.ndim == 3 else fill[0]
        top, left = max(-self.top, 0), max(-self.left, 0)
        canvas[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
        return canvas

    def move(self, boxes: Array) -> Array:
        """Boxes in multiples of the picture's sides, (N, 4 or more), as such of the window's; not clipped."""
        moved = boxes.copy()
        (height, width), (rows, columns) = self.size, self.resized
        moved[:, [0, 2]] = (boxes[:, [0, 2]] * columns - self.left) / width
        moved[:, [1, 3]] = (boxes[:, [1, 3]] * rows - self.top) / height
        return moved


def seen_through(
    window: Window, picture: BoxedPicture, *, min_visibility: float, fill: Sequence[float] = GREY
) -> BoxedPicture:
    """The objects that a window shows, with boxes clipped and areas and masks to match.

    Args:
        window: What is shown.
        picture: The whole picture; its arrays are not changed.
        min_visibility: Share of a box, in [0, 1], that must be shown for its object to be kept.
        fill: RGB in [0, 255] of what lies outside the picture.
    """
    height, width = picture.picture.shape[:2]
    (rows, columns), sides = window.size, np.array([width, height] * 2)
    whole = window.move(picture.boxes / sides) * np.array([columns, rows] * 2)
    boxes = whole.clip(0, [columns, rows] * 2).astype(np.float32)
    visible = box_areas(boxes) >= min_visibility * box_areas(whole)
    which = visible & (boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE).all(axis=1)
    kept = picture.chosen(which)
    growth = box_areas(boxes[which]) / np.maximum(box_areas(kept.boxes), 1e-6)
    shown = replace(
        kept,
        picture=window.show(picture.picture, fill=fill, is_mask=False),
        boxes=boxes[which],
        areas=(kept.areas * growth).astype(np.float32),
        masks=None if kept.masks is None else _masks(kept, window),
    )
    return tightened(shown)


def _masks(picture: BoxedPicture, window: Window) -> Array:
    assert picture.masks is not None
    shown = [window.show(mask, fill=(0,), is_mask=True) for mask in picture.masks]
    return np.stack(shown) if shown else np.zeros((0, *window.size), dtype=np.uint8)


def _resized(picture: Array, size: tuple[int, int], *, is_mask: bool) -> Array:
    if picture.shape[:2] == size:
        return picture
    shrinks = size[0] < picture.shape[0]
    smooth = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    interpolation = cv2.INTER_NEAREST_EXACT if is_mask else smooth  # the plain one is off by half a pixel
    return np.asarray(cv2.resize(picture, (size[1], size[0]), interpolation=interpolation))
