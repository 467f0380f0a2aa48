"""Pictures as baselines without a network see them."""

from collections.abc import Mapping
from typing import Any, Protocol

import cv2
import numpy as np

from datamodules.arrays import ByteArray, IntArray


class Labels(Protocol):
    """Items with one ``image`` and one ``label`` each."""

    def __len__(self) -> int:
        """Number of items."""

    def __getitem__(self, key: int, /) -> Mapping[str, Any]:
        """One item."""


def raw_arrays(dataset: Labels, *, limit: int, side: int | None) -> tuple[ByteArray, IntArray]:
    """Put pictures and labels into arrays.

    Args:
        dataset: Pictures of one size.
        limit: Most pictures; of more, as many are taken at even distances.
        side: Larger pictures are shrunk to so many pixels a side; None leaves them.

    Returns:
        uint8 (N, H, W, 3) after the recipe of the data set, and int64 (N,) labels.
    """
    chosen = np.linspace(0, len(dataset) - 1, min(limit, len(dataset))).round().astype(np.int64)
    pictures, labels = [], []
    for index in chosen.tolist():
        item = dataset[index]
        pictures.append(_shrunk(item["image"].numpy().transpose(1, 2, 0), side))
        labels.append(item["label"])
    return np.stack(pictures), np.array(labels, dtype=np.int64)


def _shrunk(picture: ByteArray, side: int | None) -> ByteArray:
    if side is None or picture.shape[0] <= side:
        return picture
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)
