"""Masks drawn over pictures for people."""

from collections.abc import Sequence

import cv2
import numpy as np

from datamodules.arrays import ByteArray
from datamodules.batch import IGNORED
from datamodules.drawing import fitting, readable_factor

READABLE_SIDE = 256
IGNORED_COLOUR = (224, 224, 192)
"""RGB of what does not count, as PASCAL VOC draws it."""

_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
_STRIP, _SQUARE = 16, 12  # pixels


def draw_mask(
    picture: ByteArray, *, mask: ByteArray | None, palette: Sequence[Sequence[int]], names: Sequence[str]
) -> ByteArray:
    """Enlarge a small picture by a whole factor, lay its mask over it and write the classes below.

    A class whose colour is black, such as the background, is left as it is.

    Args:
        picture: uint8 (H, W, 3), RGB; it is not changed.
        mask: uint8 (H, W), class ids, 255 where a pixel does not count; None draws the picture alone.
        palette: C colours, RGB.
        names: C names.

    Returns:
        uint8 (H', factor * W, 3), RGB, at least 256 pixels on the short side.
    """
    tinted = picture if mask is None else overlaid(picture, mask, palette)
    factor = readable_factor(picture, side=READABLE_SIDE)
    large = tinted.repeat(factor, axis=0).repeat(factor, axis=1)
    if mask is None:
        return large
    present = [class_id for class_id in np.unique(mask).tolist() if class_id < len(palette)]
    entries = [(names[class_id], tuple(palette[class_id])) for class_id in present]
    if np.any(mask == IGNORED):
        entries.append(("does not count", IGNORED_COLOUR))
    return np.concatenate([large, _legend(entries, width=large.shape[1])])


def overlaid(picture: ByteArray, mask: ByteArray, palette: Sequence[Sequence[int]]) -> ByteArray:
    """A picture with its mask half transparent over it, uint8 (H, W, 3); black classes are left as they are.

    Args:
        picture: uint8 (H, W, 3), RGB.
        mask: uint8 (H, W), class ids; values that are none are drawn as those that do not count.
        palette: C colours, RGB.
    """
    table = np.full((256, 3), IGNORED_COLOUR, dtype=np.uint8)
    table[: len(palette)] = np.array(palette, dtype=np.uint8).reshape(-1, 3)
    colours = table[mask]
    mixed = ((picture.astype(np.uint16) + colours) // 2).astype(np.uint8)
    return np.where(colours.any(axis=-1, keepdims=True), mixed, picture)


def _legend(entries: Sequence[tuple[str, Sequence[int]]], *, width: int) -> ByteArray:
    """A line for each class, or for two where they fit beside each other."""
    columns = 2 if width >= 2 * READABLE_SIDE // 2 and len(entries) > 1 else 1
    rows, room = -(-len(entries) // columns), width // columns
    canvas = np.full((rows * _STRIP, width, 3), 255, dtype=np.uint8)
    for number, (name, colour) in enumerate(entries):
        left, top = number % columns * room + 2, number // columns * _STRIP + 2
        canvas[top : top + _SQUARE, left : left + _SQUARE] = colour
        line = fitting(name, width=room - _SQUARE - 8, scale=_SCALE)
        place = (left + _SQUARE + 4, top + _SQUARE - 2)
        cv2.putText(canvas, line, place, _FONT, _SCALE, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas
