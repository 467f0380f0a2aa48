"""Height and width of picture files from their first bytes."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from datamodules.arrays import IntArray
from datamodules.disk import read_json, write_json
from datamodules.images import read_image
from datamodules.orientation import PNG, SIDEWAYS, orientation_of_png, orientation_of_tiff
from datamodules.sources import FileSource

_HEAD = 1 << 16  # bytes; the headers of most JPEGs end before
_SLICE = 4096  # a million waiting futures would fill the memory
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of JPEG frames of every coding


def picture_sizes(source: FileSource, *, cache_dir: Path) -> IntArray:
    """Sizes of pictures as `read_image` returns them.

    The result is kept for as long as no path, no file size and no time of writing changes.

    Args:
        source: The files.
        cache_dir: Folder to remember the result in; not used where it cannot be written.

    Returns:
        int64 (N, 2), height and width in pixels; 0 where a file is missing or no picture.
    """
    paths = [source.path(position) for position in range(len(source))]
    cached = cache_dir / f"sizes_{source.state()}.json"
    known = read_json(cached)
    if known is not None:
        return np.array(known["sizes"], dtype=np.int64).reshape(-1, 2)
    found: list[tuple[int, int]] = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        for start in range(0, len(paths), _SLICE):
            found += threads.map(picture_size, paths[start : start + _SLICE])
    write_json(cached, {"sizes": found})
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of one picture upright; (0, 0) where it is none."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if head.startswith(PNG):
                return _of_png(head, file.read)
            size = _of_jpeg(head, file.read) if head.startswith(b"\xff\xd8") else None
    except OSError:
        return 0, 0
    return size or _of_any(path)


def _of_any(path: Path) -> tuple[int, int]:
    try:
        height, width = read_image(path).shape[:2]
    except ValueError:
        return 0, 0
    return height, width


def _of_png(head: bytes, more: Callable[[], bytes]) -> tuple[int, int]:
    height, width = int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")
    orientation = orientation_of_png(head)
    if orientation is None:
        orientation = orientation_of_png(head + more())
    return (width, height) if orientation in SIDEWAYS else (height, width)


def _of_jpeg(head: bytes, more: Callable[[], bytes]) -> tuple[int, int] | None:
    """Walk the segments to the frame; on the way there the EXIF data say which side is up."""
    position, is_sideways, is_whole = 2, False, False
    while True:
        if position + 9 > len(head):
            if is_whole:
                return None
            head, is_whole = head + more(), True
            continue
        marker = head[position + 1]
        if head[position] != 0xFF:
            return None
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _FRAMES:
            height = int.from_bytes(head[position + 5 : position + 7], "big")
            width = int.from_bytes(head[position + 7 : position + 9], "big")
            return (width, height) if is_sideways else (height, width)
        if marker == 0xE1 and head[position + 4 : position + 10] == b"Exif\0\0":
            is_sideways = orientation_of_tiff(head[position + 10 :]) in SIDEWAYS
        position += 2 + int.from_bytes(head[position + 2 : position + 4], "big")
