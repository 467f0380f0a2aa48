"""Masks of COCO's files, kept as the bytes that stand there and decoded when they are asked for."""

from collections.abc import Sequence

import msgspec
import numpy as np
from faster_coco_eval.core import mask as coco_mask

from datamodules.arrays import ByteArray, IntArray


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
            raise ValueError(f"segmentation {content[:80]!r} cannot be decoded ({error})") from error
        if mask.shape != (height, width):
            raise ValueError(
                f"segmentation {content[:80]!r} is for a picture of {mask.shape[1]}x{mask.shape[0]} pixels, "
                f"not {width}x{height}"
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
