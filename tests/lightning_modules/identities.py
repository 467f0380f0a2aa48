"""A tiny verification task and its data for tests."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from datamodules.batch import VerificationBatch, VerificationMetadata
from lightning_modules.models.verification.triplet import triplet
from lightning_modules.models.verification.verifier import Verifier
from lightning_modules.verification import VerificationTask
from tests.lightning_modules.training import quiet_trainer

METADATA = VerificationMetadata(num_identities=6, image_size=8, channels=3, mean=[0.5] * 3, std=[0.25] * 3)
Item = dict[str, Any]
OF_PAIRS = {"auc", "eer", "accuracy", "accuracy_standard_error", "tar", "far"} | {
    f"tar_at_far_{target}" for target in ("0.1", "0.01", "0.001", "0.0001")
}
OF_IMAGES = {"rank1", "rank5", "recall_1", "recall_5", "map"}


def seeing() -> Verifier:
    """Sees the mean colour of an image, exactly."""
    layer = nn.Linear(3, 3, bias=False)
    nn.init.eye_(layer.weight)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), layer)
    return triplet(network=network, embedding_size=3, normalise=False)


def learning(*, size: int = 8) -> nn.Module:
    """Two convolutions and the layer that gives the embedding."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 64, size),
    )


def task(model: Verifier | None = None, **options: Any) -> VerificationTask:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {
        "model": model or seeing(),
        "optimizer": partial(torch.optim.Adam, lr=0.005),
        "scheduler": None,
        "metadata": METADATA,
    }
    return VerificationTask(**(defaults | options))


def item(index: int, *, label: int, pairs: list[list[int]] | None = None, spread: int = 40) -> Item:
    """An image in the colour of its identity, more or less; ``pairs`` are rows of the batch."""
    colour = torch.randint(60, 196, (3,), generator=torch.Generator().manual_seed(1_000 + label))
    generator = torch.Generator().manual_seed(index)
    shift = torch.randint(-spread, spread + 1, (3,), generator=generator)
    noise = torch.randint(-9, 10, (3, 8, 8), generator=generator)
    return {
        "image": ((colour + shift)[:, None, None] + noise).clamp(0, 255).to(torch.uint8),
        "index": index,
        "label": label,
        "pairs": torch.tensor(pairs or [], dtype=torch.int64).reshape(-1, 4),
    }


def patterned(index: int, *, label: int) -> Item:
    """An image whose identity is a pattern, on a ground of any colour: it has to be learnt."""
    generator = torch.Generator().manual_seed(index)
    pattern = torch.randint(2, (1, 8, 8), generator=torch.Generator().manual_seed(2_000 + label))
    ground = torch.randint(40, 150, (3, 1, 1), generator=generator)
    noise = torch.randint(-30, 31, (3, 8, 8), generator=generator)
    image = ground + 50 * pattern + noise
    return {**item(index, label=label), "image": image.clamp(0, 255).to(torch.uint8)}


def collate(items: list[Item]) -> VerificationBatch:
    return VerificationBatch(
        image=torch.stack([each["image"] for each in items]),
        index=torch.tensor([each["index"] for each in items]),
        label=torch.tensor([each["label"] for each in items]),
        pairs=[each["pairs"] for each in items],
    )


def loader(items: list[Item], *, batch_size: int = 8) -> DataLoader[Any]:
    return DataLoader(items, batch_size=batch_size, collate_fn=collate)  # type: ignore[arg-type]


def measures_on(learner: VerificationTask, items: list[Item], *, batch_size: int = 8) -> dict[str, float]:
    (measures,) = quiet_trainer().test(learner, loader(items, batch_size=batch_size), verbose=False)
    return dict(measures)


def listed(items: list[Item], pairs: list[tuple[int, int]], *, folds: int = 1) -> list[Item]:
    """The same images with pairs listed of their indices, with as many folds."""
    rows: dict[int, list[list[int]]] = {each["index"]: [] for each in items}
    labels = {each["index"]: each["label"] for each in items}
    for number, (a, b) in enumerate(pairs):
        for side, index in enumerate((a, b)):
            rows[index].append([number, side, int(labels[a] == labels[b]), number % folds])
    return [
        {**each, "pairs": torch.tensor(rows[each["index"]], dtype=torch.int64).reshape(-1, 4)}
        for each in items
    ]


def mean_colours(items: list[Item]) -> Tensor:
    """What ``seeing`` should see, (N, 3)."""
    return torch.stack([each["image"].float().mean(dim=(1, 2)) / 255 for each in items]).sub(0.5).div(0.25)


MIXED = [item(index, label=index % 5) for index in range(30)]
