"""Objects drawn into pictures for people."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from datamodules.arrays import ByteArray, IntArray
from datamodules.boxed_picture import FloatArray
from datamodules.drawing import fitting, readable_factor

READABLE_SIDE = 400
"""Shortest side in pixels at which the texts of a few boxes find room."""

# Light and dark ones in turn, far from each other and from skin, grass and sky.
PALETTE = (
    (255, 225, 25),
    (230, 25, 75),
    (70, 240, 240),
    (60, 100, 255),
    (170, 255, 60),
    (240, 50, 230),
    (255, 140, 20),
    (150, 60, 220),
    (250, 190, 212),
    (0, 140, 130),
    (255, 250, 200),
    (150, 75, 20),
)
"""RGB of the classes, which repeats where there are more of them."""

_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
_STRIP, _PADDING = 15, 3  # pixels

Strip = tuple[int, int, int, int]  # left, top, right, bottom


def draw_boxes(
    picture: ByteArray,
    *,
    boxes: FloatArray,
    texts: Sequence[str],
    colours: Sequence[int] | IntArray,
    masks: ByteArray | None = None,
) -> ByteArray:
    """Enlarge a small picture by a whole factor and draw objects into it.

    Args:
        picture: uint8 (H, W, 3), RGB; it is not changed.
        boxes: (N, 4), x1 y1 x2 y2 in pixels of the picture.
        texts: N lines, such as class and score; "" leaves one out. A line is shortened where it does not fit,
            and letters that OpenCV cannot draw become question marks.
        colours: N class ids; each has its colour in every picture.
        masks: uint8 (N, H, W), 1 inside the object, laid half transparent over it.

    Returns:
        uint8 (factor * H, factor * W, 3), RGB, at least 400 pixels on the short side.
    """
    assert len(boxes) == len(texts) == len(colours)
    tints = [PALETTE[int(colour) % len(PALETTE)] for colour in colours]
    factor = readable_factor(picture, side=READABLE_SIDE)
    canvas = _tinted(picture, masks, tints).repeat(factor, axis=0).repeat(factor, axis=1)
    frames = np.round(np.asarray(boxes, dtype=np.float64).reshape(-1, 4) * factor).astype(int)
    for frame, tint in zip(frames, tints, strict=True):
        _draw_frame(canvas, frame, tint)
    taken: list[Strip] = []
    for frame, text, tint in zip(frames, texts, tints, strict=True):
        if text:
            taken.append(_draw_text(canvas, frame, text, tint, taken=taken))
    return canvas


def _tinted(picture: ByteArray, masks: ByteArray | None, tints: Sequence[tuple[int, int, int]]) -> ByteArray:
    result = picture.copy()
    for mask, tint in zip(masks if masks is not None else (), tints, strict=masks is not None):
        inside = mask > 0
        result[inside] = (result[inside].astype(np.uint16) + np.array(tint, dtype=np.uint16)) // 2
    return result


def _draw_frame(canvas: ByteArray, frame: IntArray, tint: tuple[int, int, int]) -> None:
    """A line of two pixels with a dark one inside, so that it is seen on every ground."""
    left, top, right, bottom = (int(value) for value in frame)
    for inset, colour in ((2, (0, 0, 0)), (1, tint), (0, tint)):
        if right - left > 2 * inset and bottom - top > 2 * inset:
            cv2.rectangle(
                canvas, (left + inset, top + inset), (right - 1 - inset, bottom - 1 - inset), colour, 1
            )


def _draw_text(
    canvas: ByteArray, frame: IntArray, text: str, tint: tuple[int, int, int], *, taken: Sequence[Strip]
) -> Strip:
    height, width = canvas.shape[:2]
    line = fitting(text, width=width - 2 * _PADDING, scale=_SCALE)
    length = cv2.getTextSize(line, _FONT, _SCALE, 1)[0][0] + 2 * _PADDING
    places = list(_places(frame, min(length, width), height=height, width=width))
    strip = next((place for place in places if not any(_overlap(place, other) for other in taken)), places[0])
    left, top, right, bottom = strip
    canvas[top:bottom, left:right] = tint
    is_light = 0.299 * tint[0] + 0.587 * tint[1] + 0.114 * tint[2] > 128
    ink = (0, 0, 0) if is_light else (255, 255, 255)
    cv2.putText(canvas, line, (left + _PADDING, bottom - 4), _FONT, _SCALE, ink, 1, cv2.LINE_AA)
    return strip


def _places(frame: IntArray, length: int, *, height: int, width: int) -> Iterator[Strip]:
    """Where a strip could lie, best first: above the box, below it, inside it; always in the picture."""
    left, top, right, bottom = (int(value) for value in frame)
    rows = [row for row in (top - _STRIP, bottom) if 0 <= row <= height - _STRIP]
    for row in (*rows, top, bottom - _STRIP):
        for column in (left, right - length):
            x, y = (max(0, min(at, last)) for at, last in ((column, width - length), (row, height - _STRIP)))
            yield x, y, x + length, min(y + _STRIP, height)


def _overlap(one: Strip, other: Strip) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
