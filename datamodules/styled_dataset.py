"""Contents with the styles they shall be painted in as items, and how items become a batch."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.arrays import ByteArray, IntArray
from datamodules.batch import StyleTransferBatch
from datamodules.images import check_shape
from datamodules.photographs import resized, shrunk
from datamodules.picture_pipeline import Pipeline
from datamodules.randomness import stable_hash
from datamodules.samplers import Draw
from datamodules.sources import ImageSource

STYLE_FACTOR = 2
"""Times ``data.image_size`` that the longer side of a style picture may have: a task shows it at a size of
its own choice, and more pixels than these would not be seen in what is painted."""


class StyleTransferItem(TypedDict):
    """One content with its styles; collated it is part of a `StyleTransferBatch`.

    Attributes:
        image: uint8 (3, H, W), RGB.
        index: Position in the split.
        style: Style pictures, uint8 (3, h, w) each.
        style_index: Number of the list of style pictures.
    """

    image: Tensor
    index: int
    style: list[Tensor]
    style_index: int


class Styles(Protocol):
    """The style pictures of an item."""

    def choose(self, draw: Draw, *, seed: int, content: str) -> tuple[list[Tensor], int]:
        """Style pictures, uint8 (3, h, w) each, and the number of their list.

        Args:
            draw: The item.
            seed: With the item, decides everything random.
            content: Name of the content, which is no style for itself.
        """


class SameStyles:
    """The same style pictures for every content.

    Args:
        pictures: uint8 (3, h, w) each.
    """

    def __init__(self, pictures: Sequence[Tensor]) -> None:
        self._pictures = list(pictures)

    def choose(self, draw: Draw, *, seed: int, content: str) -> tuple[list[Tensor], int]:
        """All of them."""
        return list(self._pictures), 0


class DrawnStyles:
    """One of many style pictures for each content.

    Augmented ones are drawn at random and go through the recipe for training, so that all have one size and
    each list has a number of its own. Else the first content has the first style, and so on, uncropped.

    Args:
        source: The pictures.
        positions: Which of them, (N,), at least one.
        pipeline: Recipe for training; None for evaluation.
        longer_side: Most pixels of the longer side of what no recipe changes.
    """

    def __init__(
        self, source: ImageSource, *, positions: IntArray, pipeline: Pipeline | None, longer_side: int
    ) -> None:
        self._source = source
        self._positions = positions
        self._pipeline = pipeline
        self._longer_side = longer_side

    def choose(self, draw: Draw, *, seed: int, content: str) -> tuple[list[Tensor], int]:
        """A list of one."""
        if self._pipeline is None:
            stored = self._other(draw.position, content)
            picture = shrunk(read_fitting(self._source, stored), longer_side=self._longer_side)
            return [to_tensor(picture)], stored
        drawn = stable_hash(draw.seed(seed) >> 1, 1)  # of 64 bits, the first would be taken for a sign
        stored = self._other(int(np.random.default_rng(drawn).integers(2**31)), content)
        return [self._pipeline(read_fitting(self._source, stored), seed=drawn)], drawn >> 1

    def _other(self, number: int, content: str) -> int:
        """Position in the source of a style that is not the content, unless it is the only one."""
        place = number % len(self._positions)
        if self._source.name(int(self._positions[place])) == content:
            place = (place + 1 + number % max(1, len(self._positions) - 1)) % len(self._positions)
        return int(self._positions[place])


class ContentDataset(Dataset[StyleTransferItem]):
    """Some photographs with styles.

    Args:
        source: All pictures.
        positions: Which of them, (N,).
        pipeline: Recipe to apply.
        longer_side: Pixels to which the longer side is resized before; None leaves pictures as they are.
        styles: Their styles.
        seed: With epoch and index, decides everything random.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        positions: IntArray,
        pipeline: Pipeline,
        longer_side: int | None,
        styles: Styles,
        seed: int,
    ) -> None:
        self._source = source
        self._positions = positions
        self._pipeline = pipeline
        self._longer_side = longer_side
        self._styles = styles
        self._seed = seed

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self._positions)

    def __getitem__(self, key: int | Draw) -> StyleTransferItem:
        """One photograph; a plain position means epoch 0.

        Raises:
            ValueError: If a file is broken, or far too elongated.
        """
        draw = key if isinstance(key, Draw) else Draw(range(len(self))[key], 0, 0)
        picture = read_fitting(self._source, int(self._positions[draw.position]))
        if self._longer_side is not None:
            picture = resized(picture, longer_side=self._longer_side)
        style, number = self._styles.choose(draw, seed=self._seed, content=self.name(draw.position))
        return {
            "image": self._pipeline(picture, seed=draw.seed(self._seed)),
            "index": draw.position,
            "style": style,
            "style_index": number,
        }

    def name(self, index: int) -> str:
        """What a person calls a photograph: its path or name."""
        return self._source.name(int(self._positions[index]))


class OnePicture(Dataset[StyleTransferItem]):
    """One content picture with its styles, in memory: nothing is read or drawn anew.

    Args:
        image: uint8 (3, H, W), RGB.
        style: uint8 (3, h, w) each, RGB.
        name: What a person calls the content.
    """

    def __init__(self, image: Tensor, *, style: Sequence[Tensor], name: str) -> None:
        self._image = image
        self._style = list(style)
        self._name = name

    def __len__(self) -> int:
        """One, however often it is drawn."""
        return 1

    def __getitem__(self, key: int | Draw) -> StyleTransferItem:
        """The picture; the tensors are the same ones each time.

        Raises:
            IndexError: If another one is asked for.
        """
        position = key.position if isinstance(key, Draw) else range(1)[key]
        return {"image": self._image, "index": position, "style": list(self._style), "style_index": 0}

    def name(self, index: int) -> str:
        """What a person calls the content: its path or name."""
        return self._name


def read_fitting(source: ImageSource, position: int) -> ByteArray:
    """Read a picture that a network can see.

    Raises:
        ValueError: If the file is broken, or the picture far too elongated.
    """
    picture = source.read(position)
    problem = check_shape(*picture.shape[:2])
    if problem:
        raise ValueError(f"{source.name(position)} {problem}")
    return picture


def collate(items: Sequence[Mapping[str, Any]]) -> StyleTransferBatch:
    """Put items into one batch; pictures may differ in size, so everything but numbers stays a list.

    Args:
        items: `StyleTransferItem`s, or `PredictionItem`s without styles.
    """
    batch: dict[str, Any] = {key: [item[key] for item in items] for key in items[0]}
    for key in ("index", "style_index"):
        if key in batch:
            batch[key] = torch.tensor(batch[key], dtype=torch.int64)
    return batch  # type: ignore[return-value] # keys of an item are those of a batch


def to_tensor(picture: ByteArray) -> Tensor:
    """From uint8 (H, W, 3) to uint8 (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
