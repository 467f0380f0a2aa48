"""Detection data without files: noise with boxes, for the tests of what all detection data share."""

from typing import Any

import albumentations as A
import numpy as np
import torch
from torch import Tensor

from datamodules.arrays import ByteArray
from datamodules.base import SPLITS, DataModule
from datamodules.boxed import DetectionDataModule
from datamodules.readers.boxed import Boxed

Batch = dict[str, Any]
TRAINED, HELD_OUT = 24, 5


class Noise:
    """Pictures of any size, another one for each position."""

    def __init__(self, sizes: Any) -> None:
        self._sizes = sizes

    def __len__(self) -> int:
        return len(self._sizes)

    def read(self, position: int) -> ByteArray:
        generator = np.random.default_rng(position)
        return generator.integers(256, size=(*self._sizes[position], 3), dtype=np.uint8)

    def name(self, position: int) -> str:
        return f"noise[{position}]"

    def digest(self) -> str:
        return "noise"


class Halves:
    """The left half of each object's picture."""

    def read(self, position: int, *, height: int, width: int) -> ByteArray:
        mask = np.zeros((height, width), dtype=np.uint8)
        mask[:, : width // 2] = 1
        return mask

    def digest(self) -> str:
        return "halves"


def noise_data() -> Boxed:
    """Pictures with 0 to 3 objects in turn; of three the last is a crowd, of two the last is difficult."""
    count = TRAINED + 2 * HELD_OUT
    positions = np.arange(count)
    sizes = np.stack([40 + positions, 60 - positions], axis=1)
    numbers = positions % 4
    offsets = np.concatenate([[0], np.cumsum(numbers)])
    of_picture = np.repeat(positions, numbers)
    place = np.arange(offsets[-1]) - offsets[of_picture]
    low = np.random.default_rng(0).integers(0, 8, size=(offsets[-1], 2))
    boxes = np.concatenate([low, low + 4 + place[:, None] * 3], axis=1).astype(np.float32)
    return Boxed(
        title="noise",
        source=Noise(sizes.tolist()),
        image_ids=positions,
        sizes=sizes,
        offsets=offsets,
        boxes=boxes,
        labels=place,
        areas=(boxes[:, 2:] - boxes[:, :2]).prod(axis=1),
        is_crowd=(place == 2),
        is_difficult=(place == 1) & (numbers[of_picture] == 2),
        class_names=["first", "second", "third"],
        category_ids=[7, 8, 90],
        splits=dict(zip(SPLITS, np.split(positions, [TRAINED, TRAINED + HELD_OUT]), strict=True)),
        masks=Halves(),
    )


class NoiseData(DetectionDataModule):
    """Data without files."""

    def read(self) -> Boxed:
        return noise_data()


def recipe() -> dict[str, Any]:
    return {
        "flip": A.HorizontalFlip(p=0.5),
        "light": A.RandomBrightnessContrast(p=1.0),
    }


def make(*, combine: dict[str, Any] | None = None, masks: bool = False, **changes: Any) -> NoiseData:
    options: dict[str, Any] = {"seed": 0, "image_size": 32, "batch_size": 5, **changes}
    transforms = options.pop("transforms", {"train": recipe(), "eval": {}})
    if combine is not None:
        transforms = {**transforms, "combine": combine}
    module = NoiseData(transforms=transforms, **options)
    module.with_masks = masks
    module.setup()
    return module


def epochs(module: DataModule, *numbers: int) -> list[Batch]:
    """Training batches of some epochs, from one loader as Lightning keeps it."""
    loader = module.train_dataloader()
    found = []
    for number in numbers:
        loader.sampler.set_epoch(number)  # type: ignore[attr-defined]
        found += list(loader)
    return found


def same(first: list[Batch], second: list[Batch]) -> bool:
    def equal(a: Any, b: Any) -> bool:
        if isinstance(a, Tensor):
            return torch.equal(a, b)
        return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))

    if len(first) != len(second):
        return False
    return all(equal(a[key], b[key]) for a, b in zip(first, second, strict=True) for key in a)
