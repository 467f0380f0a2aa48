"""Which side of a picture is up, as cameras write it into their files (EXIF 2.32, tag 0x0112)."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[Any]

SIDEWAYS = frozenset({5, 6, 7, 8})
"""Orientations that exchange height and width."""

PNG = b"\x89PNG\r\n\x1a\n"

_TAG = 0x0112
_MOST_TAGS = 100

_TURNS: dict[int, Callable[[Picture], Picture]] = {
    2: lambda picture: picture[:, ::-1],
    3: lambda picture: picture[::-1, ::-1],
    4: lambda picture: picture[::-1],
    5: lambda picture: picture.swapaxes(0, 1),
    6: lambda picture: np.rot90(picture, k=-1),
    7: lambda picture: picture[::-1, ::-1].swapaxes(0, 1),
    8: lambda picture: np.rot90(picture),
}


def upright(picture: Picture, orientation: int) -> Picture:
    """Turn or mirror a picture as stored so that people see it upright.

    Args:
        picture: (H, W) or (H, W, C).
        orientation: 1 (stored upright) to 8; any other value changes nothing.
    """
    turn = _TURNS.get(orientation)
    return picture if turn is None else np.ascontiguousarray(turn(picture))


def orientation_of_tiff(tiff: bytes) -> int:
    """Orientation in the first directory of EXIF data; 1 (upright) where there is none.

    Args:
        tiff: The data from their mark of byte order, ``II`` or ``MM``, on.
    """
    order: Literal["little", "big"] = "little" if tiff.startswith(b"II") else "big"

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], order)

    directory = number(4, 4)
    for entry in range(min(number(directory, 2), _MOST_TAGS)):
        start = directory + 2 + 12 * entry
        if number(start, 2) == _TAG:
            return number(start + 8, 2)
    return 1


def orientation_of_png(content: bytes) -> int | None:
    """Orientation in the headers of a PNG; 1 (upright) where they say nothing.

    Args:
        content: The file, or its beginning.

    Returns:
        None where the beginning is too short: the headers go on behind it.
    """
    position = len(PNG)
    while position + 8 <= len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        kind, start = content[position + 4 : position + 8], position + 8
        if kind in (b"IDAT", b"IEND"):
            return 1
        if kind == b"eXIf" and start + size <= len(content):
            return orientation_of_tiff(content[start : start + size])
        position = start + size + 4  # behind the checksum
    return None


def orientation_of_webp(content: bytes) -> int:
    """Orientation in a whole WebP file; 1 (upright) where it says nothing."""
    position = 12  # behind RIFF, the size and WEBP
    while position + 8 <= len(content):
        kind = content[position : position + 4]
        size = int.from_bytes(content[position + 4 : position + 8], "little")
        start = position + 8
        if kind == b"EXIF":
            # Some programs put the mark of a JPEG's segment before the data.
            return orientation_of_tiff(content[start : start + size].removeprefix(b"Exif\0\0"))
        position = start + size + size % 2
    return 1
