"""Small tasks and data for tests."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from datamodules.batch import ClassificationBatch, ClassificationMetadata
from lightning_modules.classification import ClassificationTask

NAMES = ["ant", "bee", "cat"]


def metadata(*, channels: int = 3, counts: tuple[int, ...] = (2, 3, 5)) -> ClassificationMetadata:
    """Of three classes of images of 16 pixels."""
    return ClassificationMetadata(
        class_names=NAMES,
        class_counts=list(counts),
        image_size=16,
        channels=channels,
        mean=[0.5] * channels,
        std=[0.25] * channels,
    )


class TinyNet(nn.Module):
    """A convolution with batch norm, and a linear head."""

    def __init__(self, *, channels: int = 3, num_classes: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores."""
        scores: Tensor = self.head(self.features(images).mean(dim=(2, 3)))
        return scores


def task(**options: Any) -> ClassificationTask:
    """A classification task around a tiny network."""
    defaults: dict[str, Any] = {
        "model": TinyNet(),
        "optimizer": partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.01),
        "scheduler": None,
        "metadata": metadata(),
    }
    return ClassificationTask(**(defaults | options))


def batch(size: int, *, seed: int = 0) -> ClassificationBatch:
    """Random images with the classes 0, 1, 2, 0, 1 and so on."""
    generator = torch.Generator().manual_seed(seed)
    return ClassificationBatch(
        image=torch.randint(256, (size, 3, 16, 16), dtype=torch.uint8, generator=generator),
        label=torch.arange(size) % len(NAMES),
        index=torch.arange(size),
    )


def loader(*, size: int, batch_size: int) -> DataLoader[Any]:
    """Random images as batches of a data loader."""
    whole = batch(size)
    items = [{key: value[i] for key, value in whole.items()} for i in range(size)]  # type: ignore[index]
    return DataLoader(items, batch_size=batch_size)  # type: ignore[arg-type]
