"""Masks of COCO's files, kept as the bytes that stand there and decoded when they are asked for."""

import hashlib
import math
from collections.abc import Sequence

import msgspec
import numpy as np
from faster_coco_eval.core import mask as coco_mask

from datamodules.arrays import ByteArray, IntArray

_SHOWN = 80  # bytes of a segmentation in a message


class PackedMasks:
    """Segmentations of M objects in blocks of bytes, which worker processes share.

    Args:
        blocks: uint8 each, the JSON of segmentations one after the other.
        spans: int64 (M, 3), block, start and end of the segmentation of each object.
    """

    def __init__(self, blocks: Sequence[ByteArray], spans: IntArray) -> None:
        self._blocks = list(blocks)
        self._spans = spans

    def __len__(self) -> int:
        """Number of objects."""
        return len(self._spans)

    def chosen(self, positions: IntArray) -> "PackedMasks":
        """Masks of some of the objects, in the given order; the blocks are the same."""
        return PackedMasks(self._blocks, self._spans[positions])

    def joined(self, other: "PackedMasks") -> "PackedMasks":
        """These masks and then those of another file; no block is copied."""
        shift = np.array([len(self._blocks), 0, 0])
        return PackedMasks(self._blocks + other._blocks, np.concatenate([self._spans, other._spans + shift]))

    def digest(self) -> str:
        """Sha256 of the segmentations as they stand in their files."""
        found = hashlib.sha256(np.ascontiguousarray(self._spans).tobytes())
        for block in self._blocks:
            found.update(block.data)
        return found.hexdigest()

    def problems(self, positions: IntArray, sizes: IntArray) -> dict[int, str]:
        """What is wrong with each broken segmentation, by position; none is drawn, so it is quick.

        Args:
            positions: Which objects to look at.
            sizes: int64 (M, 2), height and width of the picture of each object; 0 where nobody knows.
        """
        blocks = [memoryview(block.data) for block in self._blocks]
        found = {}
        for position, (block, start, end), (height, width) in zip(
            positions.tolist(), self._spans[positions].tolist(), sizes[positions].tolist(), strict=True
        ):
            problem = _problem(blocks[block][start:end], height=height, width=width)
            if problem:
                found[position] = problem
        return found

    def read(self, position: int, *, height: int, width: int) -> ByteArray:
        """uint8 (height, width), 1 inside the object.

        Raises:
            ValueError: If the segmentation is none, or one for a picture of another size.
        """
        block, start, end = self._spans[position].tolist()
        content = self._blocks[block][start:end].tobytes()
        try:
            mask = decoded(content, height=height, width=width)
        except (ValueError, TypeError, KeyError, IndexError, RuntimeError) as error:
            raise ValueError(f"segmentation {content[:_SHOWN]!r} cannot be decoded ({error})") from error
        if mask.shape != (height, width):
            raise ValueError(
                f"segmentation {content[:_SHOWN]!r} is for a picture of {mask.shape[1]}x{mask.shape[0]} "
                f"pixels, not {width}x{height}"
            )
        return mask


def decoded(content: bytes, *, height: int, width: int) -> ByteArray:
    """From the JSON of polygons or of runs (as a list or packed into a text) to a mask.

    Args:
        content: The JSON.
        height: Of the picture, in pixels.
        width: Of the picture, in pixels.

    Returns:
        uint8 (height, width), 1 inside the object; the size is that in the JSON for runs.
    """
    runs = coco_mask.segmToRle(msgspec.json.decode(content), width, height)
    return np.asarray(coco_mask.decode(runs), dtype=np.uint8)


class _Runs(msgspec.Struct, gc=False):
    size: tuple[int, int]
    counts: str | list[int]


_FORM = msgspec.json.Decoder(list[list[float]] | _Runs)


def _problem(content: memoryview, *, height: int, width: int) -> str:
    try:
        found = _FORM.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"segmentation {_start(content)} is neither polygons nor runs ({error})"
    if not isinstance(found, _Runs):
        return next((text for polygon in found if (text := _problem_of_polygon(polygon))), "")
    rows, columns = found.size
    if height and width and (rows, columns) != (height, width):
        return f"segmentation is for a picture of {columns}x{rows} pixels, not {width}x{height}"
    counts = unpacked(found.counts).tolist() if isinstance(found.counts, str) else found.counts
    if min(counts, default=0) < 0:
        return f"segmentation has a run of {min(counts)} pixels"
    if sum(counts) != rows * columns:
        return f"segmentation has runs of {sum(counts)} pixels in all, not {columns}x{rows}={rows * columns}"
    return ""


def _problem_of_polygon(polygon: Sequence[float]) -> str:
    if len(polygon) < 6 or len(polygon) % 2:
        return (
            f"segmentation has a polygon of {len(polygon)} values, but x and y of at least three points "
            "are needed"
        )
    return "" if math.isfinite(sum(polygon)) else "segmentation has a value that is no coordinate"


def _start(content: memoryview) -> str:
    return repr(content[:_SHOWN].tobytes().decode(errors="replace"))


def unpacked(text: str) -> IntArray:
    """Lengths of the runs that pycocotools packs into a text.

    A number is in characters of five bits each, lowest first, the sixth says that there are more; from
    the fourth number on it is the difference to the number before the last.

    Args:
        text: The packed runs; of a text that is none, the numbers may be anything.

    Returns:
        (R,) pixels, down the columns of the picture, beginning with those outside the object.
    """
    bits = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((bits & 32) == 0)
    if not len(ends):
        return np.zeros(0, dtype=np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    bits = bits[: ends[-1] + 1]
    places = np.arange(len(bits)) - np.repeat(starts, ends - starts + 1)
    found = np.add.reduceat((bits & 31) << (5 * places), starts)
    found -= np.where(bits[ends] & 16, 1 << (5 * places[ends] + 5), 0)  # the highest bit is the sign
    for first in (1, 2):
        found[first::2] = np.cumsum(found[first::2])
    return np.asarray(found, dtype=np.int64)


def pack(segmentations: Sequence[msgspec.Raw]) -> PackedMasks:
    """Segmentations one after the other in a block.

    Args:
        segmentations: M times JSON.
    """
    count = len(segmentations)
    sizes = np.fromiter((len(memoryview(content)) for content in segmentations), np.int64, count)
    ends = np.cumsum(sizes)
    spans = np.stack([np.zeros_like(ends), ends - sizes, ends], axis=1)
    return PackedMasks([np.frombuffer(b"".join(segmentations), dtype=np.uint8)], spans)
