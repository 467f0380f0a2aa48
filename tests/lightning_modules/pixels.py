"""A tiny segmentation task and its data for tests."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from datamodules.batch import IGNORED, SegmentationBatch, SegmentationMetadata
from lightning_modules.models.segmentation.segmenter import Segmenter
from lightning_modules.segmentation import SegmentationTask
from tests.lightning_modules.training import quiet_trainer

NAMES = ["ground", "ant", "bee"]
METADATA = SegmentationMetadata(
    class_names=NAMES,
    class_counts=[600, 300, 100],
    palette=[[0, 0, 0], [200, 0, 0], [0, 200, 0]],
    image_size=64,
    channels=3,
    mean=[0.5] * 3,
    std=[0.25] * 3,
    scale="light",
)
MEASURES = {"loss", "miou", "pixel_accuracy", "mean_accuracy", "fw_iou", "boundary_f1"}


class Sighted(nn.Module):
    """Two convolutions, and a head beside them where it is asked for."""

    def __init__(self, *, auxiliary: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.head = nn.Conv2d(16, 3, 1)
        self.side = nn.Conv2d(16, 3, 1) if auxiliary else None

    def forward(self, images: Tensor) -> Any:
        seen = self.body(images)
        return self.head(seen) if self.side is None else {"out": self.head(seen), "aux": self.side(seen)}


class Painted(nn.Module):
    """Knows each pixel by its colour: dark is ground, grey an ant, bright a bee."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        shade = images.mean(dim=1, keepdim=True)
        return -4 * (shade - torch.tensor([-2.0, 0.0, 2.0]).view(1, 3, 1, 1)).square()


def task(network: nn.Module | None = None, **options: Any) -> SegmentationTask:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {
        "model": Segmenter(network or Sighted(), body="body", divisor=4),
        "optimizer": partial(torch.optim.Adam, lr=0.02),
        "scheduler": None,
        "metadata": METADATA,
    }
    return SegmentationTask(**(defaults | options))


def item(index: int, *, size: tuple[int, int] = (32, 48), right: float = 0.8) -> dict[str, Any]:
    """Blocks of three shades, of which most have the class of their shade; some pixels are ignored."""
    generator = torch.Generator().manual_seed(index)
    shades = torch.randint(3, (1, 1, 4, 4), generator=generator).float()
    mask = functional.interpolate(shades, size=size, mode="nearest")[0, 0].to(torch.uint8)
    image = (mask * 127)[None].expand(3, -1, -1).clone()
    wrong = torch.rand(size, generator=generator) > right
    mask[wrong] = (mask[wrong] + 1) % 3
    mask[torch.rand(size, generator=generator) < 0.1] = IGNORED
    return {"image": image, "index": index, "mask": mask}


def collate(items: list[dict[str, Any]]) -> SegmentationBatch:
    return SegmentationBatch(
        image=[each["image"] for each in items],
        index=torch.tensor([each["index"] for each in items]),
        mask=[each["mask"] for each in items],
    )


def loader(items: list[dict[str, Any]], *, batch_size: int = 2) -> DataLoader[Any]:
    return DataLoader(items, batch_size=batch_size, collate_fn=collate)  # type: ignore[arg-type]


def measures_on(
    learner: SegmentationTask, items: list[dict[str, Any]], *, batch_size: int = 2
) -> dict[str, float]:
    (measures,) = quiet_trainer().test(learner, loader(items, batch_size=batch_size), verbose=False)
    return dict(measures)


MIXED = [item(0), item(1, size=(40, 25)), item(2), item(3, size=(33, 30)), item(4)]
