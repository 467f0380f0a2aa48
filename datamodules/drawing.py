"""Pictures for people."""

import cv2
import numpy as np

from datamodules.arrays import ByteArray

READABLE_SIDE = 128
STRIP_HEIGHT = 22
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45


def captioned(picture: ByteArray, text: str) -> ByteArray:
    """Enlarge a small picture by a whole factor and write a line above it.

    Args:
        picture: uint8 (H, W, 3), RGB.
        text: The line; it is shortened where it does not fit, and letters that OpenCV cannot draw
            become question marks.

    Returns:
        uint8 (factor * H + 22, factor * W, 3), RGB, at least 128 pixels on the short side.
    """
    factor = readable_factor(picture, side=READABLE_SIDE)
    large = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    strip = np.full((STRIP_HEIGHT, large.shape[1], 3), 255, dtype=np.uint8)
    line = fitting(text, width=large.shape[1] - 8, scale=_SCALE)
    cv2.putText(strip, line, (4, STRIP_HEIGHT - 7), _FONT, _SCALE, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([strip, large])


def readable_factor(picture: ByteArray, *, side: int) -> int:
    """Smallest whole factor that makes the short side of a picture (H, W, 3) at least ``side`` pixels."""
    shorter = int(min(picture.shape[:2]))
    return max(1, -(-side // shorter))


def fitting(text: str, *, width: int, scale: float) -> str:
    """Shorten a line until OpenCV draws it in a given width.

    Args:
        text: The line; letters outside ASCII become question marks.
        width: Room in pixels.
        scale: Size of the letters, as OpenCV counts it.
    """
    shown = text.encode("ascii", "replace").decode()
    while len(shown) > 3 and cv2.getTextSize(shown, _FONT, scale, 1)[0][0] > width:
        shown = shown.rstrip(".")[:-1] + ".."
    return shown
