"""Image files to RGB arrays, and what to say about broken ones."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.arrays import ByteArray
from datamodules.orientation import PNG, orientation_of_png, orientation_of_webp, upright

IMAGE_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})
"""Endings, in lower case, of files that are taken for pictures."""

MOST_ELONGATED = 100
"""Times that a picture's longer side may be the shorter: networks resize the short side, and cap the long
one, so that of a picture more elongated not even a pixel may be left of its short side."""

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, b"\xff\xd9"


def read_image(path: Path) -> ByteArray:
    """Read a picture as people see it.

    EXIF orientation is applied, grey and CMYK become RGB, transparency is laid on white and 16 bits per
    channel are scaled to 8.

    Returns:
        uint8 (H, W, 3), RGB in [0, 255].

    Raises:
        ValueError: If there is no such file, or it is no picture, cut short or of another depth.
    """
    content = _whole_content(path)
    # OpenCV turns most pictures upright only when it reads them for colour, and then drops transparency,
    # which a JPEG cannot have.
    flags = cv2.IMREAD_COLOR if _is_jpeg(content) else cv2.IMREAD_UNCHANGED
    return _to_rgb(_to_bytes(upright(_decoded(content, path, flags), _left_to_turn(content)), path))


def check_image(path: Path) -> str:
    """Find out whether a file is a whole picture; a JPEG is decoded at an eighth of its size.

    Returns:
        What is wrong, or an empty text.
    """
    try:
        content = _whole_content(path)
        _decoded(content, path, cv2.IMREAD_REDUCED_COLOR_8) if _is_jpeg(content) else read_image(path)
    except ValueError as error:
        return str(error)
    return ""


def check_shape(height: int, width: int) -> str:
    """Find out whether a network can see a picture of this size in pixels; see `MOST_ELONGATED`.

    Returns:
        What is wrong, or an empty text.
    """
    if max(height, width) <= MOST_ELONGATED * min(height, width):
        return ""
    return (
        f"has {width}x{height} pixels, and no network can see a picture whose longer side is more than "
        f"{MOST_ELONGATED} times the shorter; cut it into several"
    )


def to_grey(picture: ByteArray) -> ByteArray:
    """Luma of an RGB picture in all three channels; a grey picture is not changed.

    Args:
        picture: uint8 (H, W, 3).
    """
    if np.array_equal(picture[..., 0], picture[..., 1]) and np.array_equal(picture[..., 0], picture[..., 2]):
        return picture
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def _left_to_turn(content: bytes) -> int:
    """Orientation of a picture that OpenCV does not apply by itself; it does so for JPEG and TIFF."""
    if content.startswith(PNG):
        return orientation_of_png(content) or 1
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return orientation_of_webp(content)
    return 1


def _decoded(content: bytes, path: Path, flags: int) -> npt.NDArray[Any]:
    try:
        picture = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f"{path} cannot be read as a picture ({error.err})") from error
    if picture is None:
        raise ValueError(f"{path} is not a picture in a format that OpenCV reads")
    return picture


def _whole_content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be opened ({error.strerror})") from error
    if not content:
        raise ValueError(f"{path} is empty")
    # OpenCV fills what is missing with grey and says so on stderr only.
    if _is_jpeg(content) and not _is_whole_jpeg(content):
        raise ValueError(f"{path} is a JPEG that is cut short")
    if content.startswith(b"\x89PNG") and b"IEND" not in content:
        raise ValueError(f"{path} is a PNG that is cut short")
    return content


def _is_jpeg(content: bytes) -> bool:
    return content.startswith(b"\xff\xd8")


def _is_whole_jpeg(content: bytes) -> bool:
    """Walk the headers to the pixels and look for the end mark after them.

    Looking for the mark alone would find that of a thumbnail in the headers.
    """
    position = 2
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == _START_OF_SCAN:
            return content.find(_END_OF_IMAGE, position) >= 0
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return False


def _to_bytes(picture: npt.NDArray[Any], path: Path) -> ByteArray:
    if picture.dtype == np.uint8:
        return picture.astype(np.uint8, copy=False)
    if picture.dtype == np.uint16:
        return (picture.astype(np.float32) / 257).round().astype(np.uint8)
    raise ValueError(f"{path} has {picture.dtype} pixels, and only 8 and 16 bits are read; convert it to PNG")


def _to_rgb(picture: ByteArray) -> ByteArray:
    """From grey, grey in one channel, BGR or BGR with transparency."""
    if picture.ndim == 2 or picture.shape[2] == 1:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    if picture.shape[2] == 3:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    opacity = picture[..., 3:].astype(np.float32) / 255
    on_white = picture[..., 2::-1] * opacity + 255 * (1 - opacity)
    return on_white.round().astype(np.uint8)
