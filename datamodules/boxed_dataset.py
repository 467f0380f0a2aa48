"""Pictures with boxes as items of training and evaluation, and how items become a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.arrays import ByteArray, IntArray
from datamodules.batch import DetectionBatch
from datamodules.box_pipeline import BoxPipeline
from datamodules.boxed_picture import BoolArray, BoxedPicture
from datamodules.combining import Combination
from datamodules.readers.boxed import Boxed
from datamodules.samplers import Draw


class DetectionItem(TypedDict):
    """One picture with its N objects; collated it is part of a `DetectionBatch`.

    Attributes:
        image: uint8 (3, H, W), RGB.
        index: Position in the split.
        boxes: float32 (N, 4), x1 y1 x2 y2 in pixels of the image.
        labels: int64 (N,), class ids in [0, C).
        areas: float32 (N,), in pixels.
        is_crowd: bool (N,).
        is_difficult: bool (N,).
        masks: uint8 (N, H, W), 1 inside the object; None where they were not asked for.
    """

    image: Tensor
    index: int
    boxes: Tensor
    labels: Tensor
    areas: Tensor
    is_crowd: Tensor
    is_difficult: Tensor
    masks: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is done to pictures for training only.

    Attributes:
        is_target: bool (M,), which of all objects are trained on.
        combinations: Steps that put several pictures together, before the recipe.
    """

    is_target: BoolArray
    combinations: Sequence[Combination]


class DetectionDataset(Dataset[DetectionItem]):
    """Some of the pictures of a data set with boxes.

    Args:
        data: All pictures.
        positions: Which of them, (N,).
        pipeline: Recipe to apply.
        seed: With epoch and index, decides what recipe and combinations draw.
        with_masks: Whether masks are read.
        training: Which objects to leave out and what to combine; None keeps everything as it is.
    """

    def __init__(
        self,
        data: Boxed,
        *,
        positions: IntArray,
        pipeline: BoxPipeline,
        seed: int,
        with_masks: bool = False,
        training: Training | None = None,
    ) -> None:
        self._data = data
        self._positions = positions
        self._pipeline = pipeline
        self._seed = seed
        self._with_masks = with_masks
        self._training = training

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._positions)

    def __getitem__(self, key: int | Draw) -> DetectionItem:
        """One picture; a plain position means epoch 0.

        Raises:
            ValueError: If its file is broken.
        """
        draw = key if isinstance(key, Draw) else Draw(range(len(self))[key], 0, 0)
        picture = self._raw(draw.position)
        if self._training is not None:
            picture = self._combined(picture, draw, self._training.combinations)
        return _to_item(self._pipeline(picture, seed=draw.seed(self._seed)), index=draw.position)

    def name(self, index: int) -> str:
        """What a person calls a picture: its path, or data set and number."""
        return self._data.source.name(int(self._positions[index]))

    def _raw(self, index: int) -> BoxedPicture:
        """One picture as it is stored; for training, only with the objects that are trained on."""
        position = int(self._positions[index])
        picture = self._data.picture(position, with_masks=self._with_masks)
        if self._training is None:
            return picture
        first, last = self._data.offsets[position : position + 2]
        return picture.chosen(self._training.is_target[first:last])

    def _combined(self, picture: BoxedPicture, draw: Draw, steps: Sequence[Combination]) -> BoxedPicture:
        """The picture put together with others of the same split, by chance."""
        # The recipe seeds its generators with the number alone; the second number keeps the two apart.
        generator = np.random.default_rng((draw.seed(self._seed), 1))
        for step in steps:
            if step.applies(epoch=draw.epoch, generator=generator):
                others = generator.integers(len(self), size=step.num_others).tolist()
                picture = step([picture, *map(self._raw, others)], generator=generator)
        return picture


class WithoutObjects:
    """A recipe for pictures with boxes, applied to a picture of which no object is known.

    Args:
        pipeline: The recipe.
    """

    def __init__(self, pipeline: BoxPipeline) -> None:
        self._pipeline = pipeline

    def __call__(self, picture: ByteArray, *, seed: int) -> Tensor:
        """From uint8 (H, W, 3) to uint8 (3, H', W')."""
        nothing = BoxedPicture(
            picture=picture,
            boxes=np.zeros((0, 4), dtype=np.float32),
            labels=np.zeros(0, dtype=np.int64),
            areas=np.zeros(0, dtype=np.float32),
            is_crowd=np.zeros(0, dtype=np.bool_),
            is_difficult=np.zeros(0, dtype=np.bool_),
        )
        return _to_image(self._pipeline(nothing, seed=seed).picture)


def collate(items: Sequence[Mapping[str, Any]]) -> DetectionBatch:
    """Put items into one batch; pictures may differ in size, so everything but the index stays a list.

    Args:
        items: `DetectionItem`s, or `PredictionItem`s without objects.
    """
    batch: dict[str, Any] = {key: [item[key] for item in items if item[key] is not None] for key in items[0]}
    batch["index"] = torch.tensor(batch["index"], dtype=torch.int64)
    return batch  # type: ignore[return-value] # keys of an item are those of a batch


def _to_item(boxed: BoxedPicture, *, index: int) -> DetectionItem:
    return {
        "image": _to_image(boxed.picture),
        "index": index,
        "boxes": torch.from_numpy(boxed.boxes),
        "labels": torch.from_numpy(boxed.labels),
        "areas": torch.from_numpy(boxed.areas),
        "is_crowd": torch.from_numpy(boxed.is_crowd),
        "is_difficult": torch.from_numpy(boxed.is_difficult),
        "masks": None if boxed.masks is None else torch.from_numpy(boxed.masks),
    }


def _to_image(picture: ByteArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
