"""Pictures with a class for each pixel as items of training and evaluation, and how items become a batch."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.arrays import ByteArray, IntArray
from datamodules.batch import SegmentationBatch
from datamodules.mask_pipeline import MaskPipeline
from datamodules.readers.segmented import Segmented
from datamodules.samplers import Draw


class SegmentationItem(TypedDict):
    """One picture with its mask; collated it is part of a `SegmentationBatch`.

    Attributes:
        image: uint8 (3, H, W), RGB.
        index: Position in the split.
        mask: uint8 (H, W), class ids; 255 where a pixel does not count.
    """

    image: Tensor
    index: int
    mask: Tensor


class SegmentationDataset(Dataset[SegmentationItem]):
    """Some of the pictures of a data set with masks.

    Args:
        data: All pictures.
        positions: Which of them, (N,).
        pipeline: Recipe to apply.
        seed: With epoch and index, decides what the recipe draws.
    """

    def __init__(self, data: Segmented, *, positions: IntArray, pipeline: MaskPipeline, seed: int) -> None:
        # Not the record as a whole: its counts would be sent to every worker process that is spawned.
        self._source, self._masks = data.source, data.masks
        self._positions = positions
        self._pipeline = pipeline
        self._seed = seed

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._positions)

    def __getitem__(self, key: int | Draw) -> SegmentationItem:
        """One picture; a plain position means epoch 0.

        Raises:
            ValueError: If its file or that of its mask is broken, or they differ in size.
        """
        draw = key if isinstance(key, Draw) else Draw(range(len(self))[key], 0, 0)
        stored = int(self._positions[draw.position])
        picture, mask = self._source.read(stored), self._masks.read(stored)
        if picture.shape[:2] != mask.shape:
            raise ValueError(
                f"{self.name(draw.position)} has {picture.shape[1]}x{picture.shape[0]} pixels, but its mask "
                f"{mask.shape[1]}x{mask.shape[0]}; make data lists all such pictures"
            )
        picture, mask = self._pipeline(picture, mask, seed=draw.seed(self._seed))
        return {"image": _to_image(picture), "index": draw.position, "mask": _to_mask(mask)}

    def name(self, index: int) -> str:
        """What a person calls a picture: its path, or data set and number."""
        return self._source.name(int(self._positions[index]))


class WithoutMask:
    """A recipe for pictures with masks, applied to a picture of which no mask is known.

    Args:
        pipeline: The recipe.
    """

    def __init__(self, pipeline: MaskPipeline) -> None:
        self._pipeline = pipeline

    def __call__(self, picture: ByteArray, *, seed: int) -> Tensor:
        """From uint8 (H, W, 3) to uint8 (3, H', W')."""
        nothing = np.zeros(picture.shape[:2], dtype=np.uint8)
        return _to_image(self._pipeline(picture, nothing, seed=seed)[0])


def collate(items: Sequence[Mapping[str, Any]]) -> SegmentationBatch:
    """Put items into one batch; pictures may differ in size, so everything but the index stays a list.

    Args:
        items: `SegmentationItem`s, or `PredictionItem`s without masks.
    """
    batch: dict[str, Any] = {key: [item[key] for item in items] for key in items[0]}
    batch["index"] = torch.tensor(batch["index"], dtype=torch.int64)
    return batch  # type: ignore[return-value] # keys of an item are those of a batch


def _to_image(picture: ByteArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def _to_mask(mask: ByteArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(mask))
