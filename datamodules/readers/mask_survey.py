"""One pass over all masks: their sizes, what stands in them, and which are broken."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datamodules.arrays import ByteArray, IntArray
from datamodules.disk import read_json, write_json
from datamodules.readers.mask_files import CodeArray, Legend, read_codes
from datamodules.readers.segmented import ClassMasks
from datamodules.sources import FileSource

MOST_VALUES = 256
"""Different values that a mask may have: more have photographs, and masks that were stored with losses."""

_SLICE = 1024  # a million waiting futures would fill the memory


class _Seen(NamedTuple):
    """What one mask has."""

    size: tuple[int, int]
    codes: Sequence[int]
    pixels: Sequence[int]
    problem: str


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was found in N masks; K times a value in one of them.

    Attributes:
        sizes: int64 (N, 2), height and width in pixels; 0 for those that cannot be read.
        positions: int64 (K,), which mask.
        codes: int64 (K,), what stands in it; see `mask_files.read_codes`.
        pixels: int64 (K,), in how many pixels.
        problems: What is wrong, by the position of a mask that cannot be used.
    """

    sizes: IntArray
    positions: IntArray
    codes: IntArray
    pixels: IntArray
    problems: dict[int, str]


def survey_files(files: FileSource, *, cache_dir: Path, meanings: Mapping[int, int]) -> Survey:
    """Read every mask file once; the result is kept for as long as no file changes.

    Args:
        files: The masks.
        cache_dir: Folder to remember the result in; not used where it cannot be written.
        meanings: See `mask_files.read_codes`.
    """

    def read(position: int) -> CodeArray:
        return read_codes(files.path(position), meanings=meanings)

    told = f"_{Legend(meanings).digest()[:16]}" if meanings else ""
    return _remembered(len(files), read, cached=cache_dir / f"masks_{files.state()}{told}.json")


def survey_masks(masks: ClassMasks, *, cache_dir: Path) -> Survey:
    """Draw every mask once; codes are class ids.

    Args:
        masks: Those that do not stand in files of their own.
        cache_dir: Folder to remember the result in; not used where it cannot be written.
    """
    return _remembered(len(masks), masks.read, cached=cache_dir / f"masks_{masks.digest()[:16]}.json")


def _remembered(count: int, read: Callable[[int], CodeArray], *, cached: Path) -> Survey:
    known = read_json(cached)
    if known is None:
        known = _plain(_look_at_all(count, read))
        write_json(cached, known)
    return Survey(
        sizes=np.array(known["sizes"], dtype=np.int64).reshape(-1, 2),
        positions=np.array(known["positions"], dtype=np.int64),
        codes=np.array(known["codes"], dtype=np.int64),
        pixels=np.array(known["pixels"], dtype=np.int64),
        problems={int(position): str(text) for position, text in known["problems"].items()},
    )


def _look_at_all(count: int, read: Callable[[int], CodeArray]) -> list[_Seen]:
    found: list[_Seen] = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        for start in range(0, count, _SLICE):
            chosen = range(start, min(start + _SLICE, count))
            found += threads.map(lambda position: _look_at(position, read), chosen)
    return found


def _look_at(position: int, read: Callable[[int], CodeArray]) -> _Seen:
    try:
        codes = read(position)
    except ValueError as error:
        return _Seen((0, 0), (), (), str(error))
    size = (codes.shape[0], codes.shape[1])
    values, pixels = _counted(codes)
    if len(values) > MOST_VALUES:
        text = (
            f"has {len(values)} different values or colours, and a mask at most {MOST_VALUES}; is it a "
            "photograph, or stored with losses or smooth edges?"
        )
        return _Seen(size, (), (), text)
    return _Seen(size, values.tolist(), pixels.tolist(), "")


def _counted(codes: CodeArray) -> tuple[Any, Any]:
    if codes.dtype != np.uint8:
        return np.unique(codes, return_counts=True)
    pixels = np.bincount(_flat(codes), minlength=256)
    values = np.flatnonzero(pixels)
    return values, pixels[values]


def _flat(codes: CodeArray) -> ByteArray:
    return np.asarray(codes, dtype=np.uint8).reshape(-1)


def _plain(found: Sequence[_Seen]) -> dict[str, Any]:
    rows = [
        (position, code, pixels)
        for position, seen in enumerate(found)
        for code, pixels in zip(seen.codes, seen.pixels, strict=True)
    ]
    return {
        "sizes": [seen.size for seen in found],
        "positions": [position for position, _, _ in rows],
        "codes": [code for _, code, _ in rows],
        "pixels": [pixels for _, _, pixels in rows],
        "problems": {str(position): seen.problem for position, seen in enumerate(found) if seen.problem},
    }
