"""Where pictures come from: arrays in memory or files on disk."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from datamodules.arrays import ByteArray
from datamodules.images import read_image


class ImageSource(Protocol):
    """Pictures by position."""

    def __len__(self) -> int:
        """Number of pictures."""

    def read(self, position: int) -> ByteArray:
        """RGB picture, uint8 HWC in [0, 255]; a copy that the caller may change."""

    def name(self, position: int) -> str:
        """What a person calls this picture: its path, or data set and number."""

    def digest(self) -> str:
        """Sha256 of what is read, in hex."""


class ArraySource:
    """Pictures of one size that fit in memory.

    Args:
        pixels: uint8, (N, H, W) grey or (N, H, W, 3) RGB.
        title: Name of the data set.
    """

    def __init__(self, pixels: ByteArray, *, title: str) -> None:
        self._pixels = pixels
        self._title = title

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._pixels)

    def read(self, position: int) -> ByteArray:
        """RGB picture, uint8 HWC."""
        picture = self._pixels[position]
        if picture.ndim == 2:
            return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
        return np.array(picture, dtype=np.uint8)

    def name(self, position: int) -> str:
        """Data set and number, such as ``digits[12]``."""
        return f"{self._title}[{position}]"

    def digest(self) -> str:
        """Sha256 of shape and pixels."""
        found = hashlib.sha256(str(self._pixels.shape).encode())
        found.update(np.ascontiguousarray(self._pixels).data)
        return found.hexdigest()


class FileSource:
    """Pictures in files, each read when it is asked for.

    Args:
        root: Folder the paths are relative to.
        paths: Relative paths with ``/``.
        advice: What to do about a broken file; ends the message about it.
    """

    def __init__(self, root: Path, paths: Sequence[str], *, advice: str) -> None:
        self.root = root
        self._advice = advice
        # One block of bytes: a million Python strings would be copied, page by page, into every
        # worker process as their reference counts change.
        self._paths = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)

    def __len__(self) -> int:
        """Number of files."""
        return len(self._paths)

    def path(self, position: int) -> Path:
        """Whole path of one file."""
        return self.root / os.fsdecode(bytes(self._paths[position]))

    def read(self, position: int) -> ByteArray:
        """RGB picture, uint8 HWC.

        Raises:
            ValueError: If the file is missing or no whole picture.
        """
        try:
            return read_image(self.path(position))
        except ValueError as error:
            raise ValueError(f"{error}; {self._advice}") from error

    def name(self, position: int) -> str:
        """Path of the file."""
        return str(self.path(position))

    def digest(self) -> str:
        """Sha256 of relative paths and file sizes; reading every byte of a large set would take hours."""
        found = hashlib.sha256()
        for position in range(len(self)):
            size = self.path(position).stat().st_size
            found.update(bytes(self._paths[position]) + f"\0{size}\n".encode())
        return found.hexdigest()

    def state(self) -> str:
        """Sixteen hex digits that are others once any file was written anew, came or went.

        Unlike `digest`, which is the same for every copy of the data, it counts the time of writing.
        """
        found = hashlib.sha256()
        for position in range(len(self)):
            try:
                known = self.path(position).stat()
                stamp = f"{known.st_size} {known.st_mtime_ns}"
            except OSError:
                stamp = "missing"
            found.update(bytes(self._paths[position]) + f"\0{stamp}\n".encode())
        return found.hexdigest()[:16]
