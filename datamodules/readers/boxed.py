"""What every reader of detection data hands over."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from datamodules.arrays import ByteArray, IntArray
from datamodules.boxed_picture import BoolArray, BoxedPicture, FloatArray
from datamodules.sources import ImageSource


class MaskSource(Protocol):
    """Masks of objects by their position in the whole data set."""

    def read(self, position: int, *, height: int, width: int) -> ByteArray:
        """uint8 (height, width), 1 inside the object; the size is that of its picture."""

    def digest(self) -> str:
        """Sha256 of what is read, in hex."""


@dataclass(frozen=True, kw_only=True)
class Boxed:
    """N pictures with M objects in all, and which pictures are for what.

    Everything about the objects is in arrays, which worker processes share: a million Python objects
    would be copied into each of them, page by page, as reference counts change.

    Attributes:
        title: Name of the data set.
        source: N pictures.
        image_ids: (N,) ids that the data's own files use for the pictures; the position where they have none.
        sizes: int64 (N, 2), height and width in pixels.
        offsets: int64 (N + 1,); the objects of picture i are those in [offsets[i], offsets[i + 1]).
        boxes: float32 (M, 4), x1 y1 x2 y2 in pixels; x2 and y2 are exclusive.
        labels: int64 (M,), class ids in [0, C).
        areas: float32 (M,), area of each object in pixels.
        is_crowd: bool (M,), whether a box stands for many objects.
        is_difficult: bool (M,), as PASCAL VOC marks them.
        class_names: C names in the order of the class ids.
        category_ids: C ids that the data's own files use for the classes.
        splits: Positions of pictures for ``train``, ``val`` and ``test``.
        masks: Masks of the objects; None where the data has none.
        skipped: Records (pictures and objects) that were left out because they are broken.
    """

    title: str
    source: ImageSource
    image_ids: IntArray
    sizes: IntArray
    offsets: IntArray
    boxes: FloatArray
    labels: IntArray
    areas: FloatArray
    is_crowd: BoolArray
    is_difficult: BoolArray
    class_names: Sequence[str]
    category_ids: Sequence[int]
    splits: Mapping[str, IntArray]
    masks: MaskSource | None = None
    skipped: int = 0

    def picture(self, position: int, *, with_masks: bool) -> BoxedPicture:
        """One picture with its objects, as copies that the caller may change.

        Args:
            position: Which picture, in [0, N).
            with_masks: Whether to read masks, too; there are none where the data has none.

        Raises:
            ValueError: If the picture or a mask cannot be read.
        """
        objects = slice(int(self.offsets[position]), int(self.offsets[position + 1]))
        picture = self.source.read(position)
        return BoxedPicture(
            picture=picture,
            boxes=self.boxes[objects].copy(),
            labels=self.labels[objects].copy(),
            areas=self.areas[objects].copy(),
            is_crowd=self.is_crowd[objects].copy(),
            is_difficult=self.is_difficult[objects].copy(),
            masks=self._masks(position, objects, picture) if with_masks else None,
        )

    def of_split(self, split: str) -> IntArray:
        """Positions in the arrays of all objects of a split."""
        chosen = self.splits[split]
        starts, ends = self.offsets[chosen], self.offsets[chosen + 1]
        counts = ends - starts
        before = np.cumsum(counts) - counts  # objects of the pictures before, in what is returned
        return np.asarray(np.arange(counts.sum()) + np.repeat(starts - before, counts), dtype=np.int64)

    def counts(self, split: str) -> list[int]:
        """C numbers of objects of each class in one split."""
        found = np.bincount(self.labels[self.of_split(split)], minlength=len(self.class_names))
        return [int(count) for count in found]

    def digest(self) -> str:
        """Sha256 over pictures, boxes, labels and class names, in hex; see the source for what it reads."""
        found = hashlib.sha256(self.source.digest().encode())
        for array in (self.offsets, self.boxes, self.labels, self.is_crowd, self.is_difficult):
            found.update(np.ascontiguousarray(array).tobytes())
        found.update("\n".join(self.class_names).encode())
        return found.hexdigest()

    def _masks(self, position: int, objects: slice, picture: ByteArray) -> ByteArray | None:
        if self.masks is None:
            return None
        height, width = picture.shape[:2]
        found = np.zeros((objects.stop - objects.start, height, width), dtype=np.uint8)
        for number in range(len(found)):
            try:
                found[number] = self.masks.read(objects.start + number, height=height, width=width)
            except ValueError as error:
                name = f"{self.source.name(position)} (image_id {self.image_ids[position]})"
                raise ValueError(f"object {number + 1} of {name}: {error}") from error
        return found
