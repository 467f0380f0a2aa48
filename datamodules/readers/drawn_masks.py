"""Masks of classes, drawn from the masks of the objects of each picture."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.arrays import ByteArray, IntArray
from datamodules.batch import IGNORED
from datamodules.palettes import voc_palette
from datamodules.readers.boxed import Boxed
from datamodules.readers.mask_survey import survey_masks
from datamodules.readers.segmented import MOST_CLASSES, Segmented

BACKGROUND = "background"


class DrawnMasks:
    """Class 0 is the background, class k + 1 all objects with label k.

    A pixel that objects of different classes share does not count, since nobody says which of them is in
    front; torchvision's reference for training segmentation on COCO leaves such pixels out, too (and
    also those that objects of one class share, which have that class here).

    Args:
        data: Pictures with objects that have masks.

    Raises:
        ValueError: If there are no masks, or more classes than a byte has values.
    """

    def __init__(self, data: Boxed) -> None:
        if data.masks is None:
            raise ValueError(
                f"{data.title}: no object has a segmentation, so there is nothing to draw masks of"
            )
        if len(data.class_names) >= MOST_CLASSES:
            raise ValueError(
                f"{data.title} has {len(data.class_names)} classes, but with the background at most "
                f"{MOST_CLASSES} fit into a mask of bytes"
            )
        self._source, self._objects = data.source, data.masks
        self._sizes, self._offsets, self._labels = data.sizes, data.offsets, data.labels

    def __len__(self) -> int:
        """Number of masks."""
        return len(self._sizes)

    def read(self, position: int) -> ByteArray:
        """uint8 (H, W), class ids; see the class.

        Raises:
            ValueError: If the segmentation of an object cannot be decoded.
        """
        height, width = self._sizes[position].tolist()
        first, last = self._offsets[position : position + 2].tolist()
        mask = np.zeros((height, width), dtype=np.uint8)
        for number in range(first, last):
            class_id = int(self._labels[number]) + 1
            try:
                inside = self._objects.read(number, height=height, width=width).view(np.bool_)
            except ValueError as error:
                raise ValueError(f"object {number - first + 1} of {self.name(position)}: {error}") from error
            is_taken = inside & (mask != 0) & (mask != class_id)
            mask[inside] = class_id
            mask[is_taken] = IGNORED
        return mask

    def name(self, position: int) -> str:
        """That of the picture."""
        return self._source.name(position)

    def digest(self) -> str:
        """Sha256 of classes and masks of all objects."""
        found = hashlib.sha256(self._objects.digest().encode())
        for array in (self._sizes, self._offsets, self._labels):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


def to_drawn(data: Boxed, *, cache_dir: Path) -> Segmented:
    """Draw every mask once to count pixels, which is remembered.

    Args:
        data: Checked pictures with objects that have masks.
        cache_dir: Folder to remember the counts in.

    Raises:
        ValueError: If there are no masks, or one cannot be drawn.
    """
    survey = survey_masks(DrawnMasks(data), cache_dir=cache_dir)
    for position, text in survey.problems.items():
        raise ValueError(f"{data.source.name(position)}: {text}")
    count = 1 + len(data.class_names)
    pixels = np.zeros((len(data.sizes), count), dtype=np.int64)
    counts = survey.codes != IGNORED
    pixels[survey.positions[counts], survey.codes[counts]] = survey.pixels[counts]
    return drawn(data, pixels=pixels, palette=voc_palette(count))


def drawn(data: Boxed, *, pixels: IntArray, palette: Sequence[Sequence[int]]) -> Segmented:
    """The same pictures with classes of pixels instead of objects.

    Args:
        data: Pictures with objects that have masks.
        pixels: int64 (N, 1 + C), pixels of background and classes in each picture.
        palette: 1 + C colours.
    """
    return Segmented(
        title=data.title,
        source=data.source,
        masks=DrawnMasks(data),
        sizes=data.sizes,
        pixels=pixels,
        class_names=[BACKGROUND, *data.class_names],
        palette=palette,
        splits=data.splits,
        skipped=data.skipped,
    )


def pixels_of_apart(data: Boxed) -> IntArray:
    """Pixels of background and classes in each picture, int64 (N, 1 + C), without drawing anything.

    Args:
        data: Objects that cover none of each other, with areas that are the pixels of their masks.
    """
    pixels = np.zeros((len(data.sizes), 1 + len(data.class_names)), dtype=np.int64)
    pictures = np.repeat(np.arange(len(data.sizes)), np.diff(data.offsets))
    np.add.at(pixels, (pictures, data.labels + 1), data.areas.astype(np.int64))
    pixels[:, 0] = data.sizes.prod(axis=1) - pixels.sum(axis=1)
    return pixels
