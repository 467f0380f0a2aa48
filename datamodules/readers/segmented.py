"""What every reader of segmentation data hands over."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from datamodules.arrays import ByteArray, IntArray
from datamodules.sources import ImageSource

MOST_CLASSES = 255
"""Class ids are bytes, and 255 is no class."""


class ClassMasks(Protocol):
    """The class of each pixel of pictures, by the position of the picture."""

    def __len__(self) -> int:
        """Number of masks."""

    def read(self, position: int) -> ByteArray:
        """uint8 (H, W), class ids in [0, C), 255 where a pixel does not count; a copy."""

    def name(self, position: int) -> str:
        """What a person calls this mask."""

    def digest(self) -> str:
        """Sha256 of what is read, in hex."""


@dataclass(frozen=True, kw_only=True)
class Segmented:
    """N pictures with a class for each pixel, and which of them are for what.

    Attributes:
        title: Name of the data set.
        source: N pictures.
        masks: N masks of the same sizes.
        sizes: int64 (N, 2), height and width in pixels.
        pixels: int64 (N, C), pixels of each class in each picture.
        class_names: C names in the order of the class ids.
        palette: C colours, RGB in [0, 255].
        splits: Positions of pictures for ``train``, ``val`` and ``test``.
        skipped: Pictures and masks that were left out because they are broken or have no other half.
    """

    title: str
    source: ImageSource
    masks: ClassMasks
    sizes: IntArray
    pixels: IntArray
    class_names: Sequence[str]
    palette: Sequence[Sequence[int]]
    splits: Mapping[str, IntArray]
    skipped: int = 0

    def counts(self, split: str) -> list[int]:
        """C numbers of pixels of each class in one split."""
        return [int(count) for count in self.pixels[self.splits[split]].sum(axis=0)]

    def num_pictures(self, split: str) -> list[int]:
        """C numbers of pictures of one split that show a class."""
        return [int(count) for count in (self.pixels[self.splits[split]] > 0).sum(axis=0)]

    def num_pixels(self, split: str) -> int:
        """Number of pixels of one split, also of those that do not count."""
        return int(self.sizes[self.splits[split]].prod(axis=1).sum())

    def digest(self) -> str:
        """Sha256 over pictures, masks and class names, in hex; see the sources for what they read."""
        found = hashlib.sha256(f"{self.source.digest()} {self.masks.digest()}\n".encode())
        found.update("\n".join(self.class_names).encode())
        return found.hexdigest()
