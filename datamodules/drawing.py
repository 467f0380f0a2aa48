"""Pictures for people."""

import cv2
import numpy as np

from datamodules.arrays import ByteArray

READABLE_SIDE = 128
STRIP_HEIGHT = 22
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def captioned(picture: ByteArray, text: str) -> ByteArray:
    """Enlarge a small picture by a whole factor and write a line above it.

    Args:
        picture: uint8 (H, W, 3), RGB.
        text: The line; it is shortened where it does not fit, and letters that OpenCV cannot draw
            become question marks.

    Returns:
        uint8 (factor * H + 22, factor * W, 3), RGB, at least 128 pixels on the short side.
    """
    factor = max(1, -(-READABLE_SIDE // min(picture.shape[:2])))
    large = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    strip = np.full((STRIP_HEIGHT, large.shape[1], 3), 255, dtype=np.uint8)
    line = _fitting(text.encode("ascii", "replace").decode(), width=large.shape[1] - 8)
    cv2.putText(strip, line, (4, STRIP_HEIGHT - 7), _FONT, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([strip, large])


def _fitting(text: str, *, width: int) -> str:
    shown = text
    while len(shown) > 3 and cv2.getTextSize(shown, _FONT, 0.45, 1)[0][0] > width:
        shown = shown.rstrip(".")[:-1] + ".."
    return shown
