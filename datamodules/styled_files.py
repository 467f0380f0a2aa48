"""Photographs that a person wants to have painted, as large as they shall be painted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from datamodules.base import PicturePipeline, PredictionDataset, PredictionItem
from datamodules.photographs import resized, shrunk
from datamodules.styled_dataset import to_tensor


class PaintItem(PredictionItem):
    """One photograph.

    Attributes:
        stored: Height and width in the file.
    """

    stored: list[int]


class FilesToPaint(PredictionDataset):
    """Files to paint, in order; one that is broken or far too elongated does not stop the others.

    Args:
        paths: Image files.
        pipeline: See `PredictionDataset`.
        image_size: See `PredictionDataset`.
        longer_side: Pixels of the longer side of what is painted; None: as it is in the file.
        at_most: Most pixels of it where it is as in the file.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        pipeline: PicturePipeline,
        image_size: int,
        longer_side: int | None,
        at_most: int,
    ) -> None:
        super().__init__(paths, pipeline=pipeline, image_size=image_size)
        self._longer_side = longer_side
        self._at_most = at_most

    def __getitem__(self, index: int) -> PaintItem:
        """One photograph, at the size at which it is painted."""
        item = super().__getitem__(index)
        return {**item, "image": self._fitting(item["image"]), "stored": list(item["image"].shape[1:])}

    def _fitting(self, image: Tensor) -> Tensor:
        picture = np.ascontiguousarray(image.numpy().transpose(1, 2, 0))
        if self._longer_side is None:
            return to_tensor(shrunk(picture, longer_side=self._at_most))
        return to_tensor(resized(picture, longer_side=self._longer_side))
