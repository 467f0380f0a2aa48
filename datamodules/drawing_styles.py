"""A content beside its styles, for people."""

from collections.abc import Sequence

import cv2
import numpy as np

from datamodules.arrays import ByteArray
from datamodules.drawing import READABLE_SIDE, captioned, readable_factor

_GAP = 8
_WIDEST = 2  # times its height that a style may be drawn wide


def draw_styles(content: ByteArray, *, styles: Sequence[ByteArray]) -> ByteArray:
    """Draw a content, enlarged where it is small, and its styles about as high in a row.

    Args:
        content: uint8 (H, W, 3), RGB.
        styles: uint8 (h, w, 3) each, RGB; maybe none.

    Returns:
        uint8 HWC, RGB, with a line of text above each picture.
    """
    height = content.shape[0] * readable_factor(content, side=READABLE_SIDE)
    drawn = [captioned(content, "content")]
    drawn += [captioned(_fitted(style, height=height), "style") for style in styles]
    tallest = max(picture.shape[0] for picture in drawn)
    return np.concatenate([_padded(picture, tallest, place) for place, picture in enumerate(drawn)], axis=1)


def _fitted(style: ByteArray, *, height: int) -> ByteArray:
    factor = min(height / style.shape[0], _WIDEST * height / style.shape[1])
    size = (max(1, round(style.shape[1] * factor)), max(1, round(style.shape[0] * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(style, size, interpolation=how), dtype=np.uint8)


def _padded(picture: ByteArray, height: int, place: int) -> ByteArray:
    """White below, and between a picture and the one before it."""
    missing = ((0, height - picture.shape[0]), (_GAP if place else 0, 0), (0, 0))
    return np.pad(picture, missing, constant_values=255)
