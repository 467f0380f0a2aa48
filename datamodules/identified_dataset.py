"""Pictures of identities as items of training and evaluation, and how items become a batch."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from datamodules.arrays import IntArray
from datamodules.base import Split
from datamodules.picture_pipeline import Pipeline
from datamodules.readers.identified import Identified
from datamodules.samplers import Draw


class VerificationItem(TypedDict):
    """One picture with its identity; collated it is part of a `VerificationBatch`.

    Attributes:
        image: uint8 (3, H, W), RGB.
        label: Identity id.
        index: Position in the split.
        pairs: int64 (P, 4), see `VerificationBatch`.
    """

    image: Tensor
    label: int
    index: int
    pairs: Tensor


class VerificationDataset(Dataset[VerificationItem]):
    """One split of pictures of identities.

    Args:
        data: All pictures.
        split: Which part of them.
        pipeline: Recipe to apply.
        seed: With epoch and index, decides what the recipe draws.
        is_measured: Whether items have the pairs that the split lists; in training they have those of their
            batch, where it is made of pairs.
    """

    def __init__(
        self, data: Identified, *, split: Split, pipeline: Pipeline, seed: int, is_measured: bool
    ) -> None:
        self._source = data.source
        self._positions = data.splits[split]
        self._labels = data.labels[self._positions]
        self._pipeline = pipeline
        self._seed = seed
        pairs = data.pairs[split] if is_measured else None
        self._rows, self._offsets = _by_picture(pairs, size=len(self._positions))

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._positions)

    def __getitem__(self, key: int | Draw) -> VerificationItem:
        """One picture; a plain position means epoch 0.

        Raises:
            ValueError: If its file is broken.
        """
        draw = key if isinstance(key, Draw) else Draw(range(len(self))[key], 0, 0)
        picture = self._source.read(int(self._positions[draw.position]))
        return {
            "image": self._pipeline(picture, seed=draw.seed(self._seed)),
            "label": int(self._labels[draw.position]),
            "index": draw.position,
            "pairs": torch.from_numpy(self._pairs(draw)),
        }

    def name(self, index: int) -> str:
        """What a person calls a picture: its path, or data set and number."""
        return self._source.name(int(self._positions[index]))

    def _pairs(self, draw: Draw) -> IntArray:
        if draw.pair is not None:
            return np.array([[*draw.pair, -1]], dtype=np.int64)
        return self._rows[self._offsets[draw.position] : self._offsets[draw.position + 1]].copy()


def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put items into one batch; pictures are in different numbers of pairs, so these stay a list.

    Args:
        items: `VerificationItem`s, or `PredictionItem`s without pairs.
    """
    plain = [{key: value for key, value in item.items() if key != "pairs"} for item in items]
    batch: dict[str, Any] = default_collate(plain)
    if "pairs" in items[0]:
        batch["pairs"] = [item["pairs"] for item in items]
    return batch


def _by_picture(pairs: IntArray | None, *, size: int) -> tuple[IntArray, IntArray]:
    """Rows of the pairs of each picture, one after the other, and where those of each begin."""
    if pairs is None:
        return np.empty((0, 4), dtype=np.int64), np.zeros(size + 1, dtype=np.int64)
    pictures, numbers = pairs[:, :2].T.ravel(), np.tile(np.arange(len(pairs)), 2)
    sides = np.repeat([0, 1], len(pairs))
    order = np.lexsort((numbers, pictures))
    rows = np.concatenate([np.stack([numbers, sides], axis=1), pairs[numbers, 2:]], axis=1)
    counts = np.bincount(pictures, minlength=size)
    return rows[order].astype(np.int64), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
