"""Masks in picture files: what stands for each pixel, and the class it means."""

import hashlib
import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from datamodules.arrays import ByteArray, IntArray
from datamodules.batch import IGNORED
from datamodules.sources import FileSource

MASK_ENDINGS = frozenset({".png", ".bmp", ".tif", ".tiff", ".gif"})
"""Endings, in lower case, of files without losses; a JPEG's values are not those that were written."""

COLOUR = 1 << 24
"""Added to red * 65536 + green * 256 + blue, so that no colour is taken for a value."""

CodeArray = ByteArray | npt.NDArray[np.int32]

_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_SHALLOW = {2: 85, 4: 17}  # what Pillow multiplies grey values of so many bits by
_GREYS, _COLOURS = ("L", "P", "1", "LA", "PA"), ("RGB", "RGBA")


def read_codes(path: Path, *, meanings: Mapping[int, int] = MappingProxyType({})) -> CodeArray:
    """Read what a mask file says of each pixel.

    Pictures with a palette give their indices, grey ones their values (never their colours), and colour
    ones the code of each colour; see `colour_code`. Pillow reads them, as OpenCV loses the indices.

    Args:
        path: The file.
        meanings: Class id, or 255, by code. A picture whose palette gives an index that occurs the colour
            of another class gives the codes of its colours instead.

    Returns:
        (H, W), uint8 where all values fit, else int32.

    Raises:
        ValueError: If there is no such file, or it is no whole picture, or one of another kind.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be opened ({error.strerror})") from error
    try:
        with Image.open(io.BytesIO(content)) as picture:
            mode, pixels, palette = picture.mode, np.asarray(picture), picture.getpalette() or []
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not a picture in a format that Pillow reads") from error
    except _BROKEN as error:
        raise ValueError(f"{path} is broken ({error})") from error
    if mode.startswith("I"):
        return pixels.astype(np.int32)
    if mode in _COLOURS:
        red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
        return (COLOUR + (red << 16) + (green << 8) + blue).astype(np.int32)
    if mode not in _GREYS:
        raise ValueError(f"{path} has pixels of the kind {mode}; save it as a PNG of 8 bits")
    values = pixels if pixels.ndim == 2 else pixels[..., 0]
    codes = np.asarray(values // _SHALLOW.get(_grey_bits(content), 1), dtype=np.uint8)
    return _by_colours(codes, palette, meanings) if meanings and mode in ("P", "PA") else codes


def colour_code(colour: Any) -> int:
    """The code of a colour, RGB in [0, 255]."""
    red, green, blue = (int(value) for value in colour)
    return COLOUR + (red << 16) + (green << 8) + blue


def spelt(code: int) -> str:
    """What a person calls a code: a value or a colour."""
    if code < COLOUR:
        return f"the value {code}"
    return f"the colour ({code >> 16 & 255}, {code >> 8 & 255}, {code & 255})"


class Legend:
    """Which codes stand for which classes.

    Args:
        classes: Class id in [0, C), or 255 for what does not count, by code.
    """

    def __init__(self, classes: Mapping[int, int]) -> None:
        self._codes = np.array(sorted(classes), dtype=np.int32)
        self._ids = np.array([classes[code] for code in sorted(classes)], dtype=np.uint8)
        self._table = np.full(256, IGNORED, dtype=np.uint8)
        is_value = self._codes < 256
        self._table[self._codes[is_value]] = self._ids[is_value]

    def ids(self, codes: CodeArray | IntArray) -> ByteArray:
        """Class ids, uint8, of codes of any shape; 255 for those that stand for none."""
        if codes.dtype == np.uint8:
            return self._table[codes]
        places = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
        return np.where(self._codes[places] == codes, self._ids[places], IGNORED).astype(np.uint8)

    def knows(self, codes: IntArray) -> npt.NDArray[np.bool_]:
        """Whether codes (K,) stand for anything, also for what does not count."""
        return np.isin(codes, self._codes)

    def digest(self) -> str:
        """Sha256 of codes and classes."""
        return hashlib.sha256(self._codes.tobytes() + self._ids.tobytes()).hexdigest()


class MaskFiles:
    """Masks in files, each read when it is asked for.

    Args:
        files: The files.
        legend: What stands in them.
        meanings: See `read_codes`.
    """

    def __init__(
        self, files: FileSource, legend: Legend, *, meanings: Mapping[int, int] = MappingProxyType({})
    ) -> None:
        self._files = files
        self._legend = legend
        self._meanings = dict(meanings)  # a proxy cannot be sent to the processes that read

    def __len__(self) -> int:
        """Number of files."""
        return len(self._files)

    def read(self, position: int) -> ByteArray:
        """uint8 (H, W), class ids.

        Raises:
            ValueError: If the file is missing or no whole picture.
        """
        return self._legend.ids(read_codes(self._files.path(position), meanings=self._meanings))

    def name(self, position: int) -> str:
        """Path of the file."""
        return self._files.name(position)

    def digest(self) -> str:
        """Sha256 of paths, file sizes, legend and meanings."""
        meanings = Legend(self._meanings).digest() if self._meanings else ""
        text = f"{self._files.digest()} {self._legend.digest()}{meanings}"
        return hashlib.sha256(text.encode()).hexdigest()


def _by_colours(indices: ByteArray, palette: Sequence[int], meanings: Mapping[int, int]) -> CodeArray:
    """Codes of the colours if one is that of another class than its index; else the indices.

    What does not count by its index stays so, since the colour of such an index is often a mere filling.
    """
    colours = {index: colour_code(palette[3 * index : 3 * index + 3]) for index in range(len(palette) // 3)}
    used = [index for index in np.unique(indices).tolist() if index in colours]
    seen = {index: colours[index] for index in used if meanings.get(index) != IGNORED}
    if all(meanings.get(colour, index) == index for index, colour in seen.items()):
        return indices
    table = np.arange(256, dtype=np.int32)
    table[list(seen)] = list(seen.values())
    return np.asarray(table[indices], dtype=np.int32)


def _grey_bits(content: bytes) -> int:
    """Bits of each value of a grey PNG; 0 for any other file."""
    is_grey = content.startswith(b"\x89PNG\r\n\x1a\n") and content[25] == 0
    return content[24] if is_grey else 0
