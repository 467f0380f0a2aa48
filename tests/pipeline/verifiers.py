"""A verifier without training, and people made of stripes, for tests of the verbs."""

import importlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from pipeline.compose import Composed, compose_plain, problems_of, settings_of
from pipeline.work import inference
from pipeline.work.loading import Trained

SIZE = 8
"""Numbers of an encoding: the mean of each of eight rows of the picture."""


class Rows(nn.Module):
    """Euclidean distances of the brightness of rows."""

    is_euclidean = True

    def __init__(self, *, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * images.float().mean(dim=(1, 3)).reshape(len(images), SIZE, -1).mean(dim=2) / 255


class RowsVerifier(LightningModule):
    """What the verbs need of a task."""

    threshold: Tensor
    calibration: Tensor
    false_accept_rate: Tensor

    def __init__(self, *, scale: float = 1.0, threshold: float = 0.3) -> None:
        super().__init__()
        self.model = Rows(scale=scale)
        self.register_buffer("threshold", torch.tensor(threshold))
        self.register_buffer("false_accept_rate", torch.tensor(0.1))
        self.register_buffer("calibration", torch.tensor([4.0, -4.0 / 0.3]))

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        return {"embedding": self.model(batch["image"]), "index": batch["index"]}

    def distances(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.cdist(a, b)

    def pair_distances(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).norm(dim=1)

    def probabilities(self, distance: Tensor) -> Tensor:
        return torch.sigmoid(self.calibration[0] + self.calibration[1] * distance)


def a_trained(task: Any, folder: Path, *, run_id: str = "a" * 32) -> Trained:
    """A network as if it had been trained, with the digits' way of reading pictures."""
    config = compose_plain(verb="train", overrides=["data.image_size=32"])
    return Trained(
        task=task, config=config, metadata={}, run_id=run_id, path=folder / "kept.ckpt", folder=folder
    )


def call(verb: str, *words: str, root: Path, trained: Trained | None, patch: pytest.MonkeyPatch) -> int:
    """The work of a verb with a network that is not read from a checkpoint, in this process.

    Args:
        verb: Name of the command.
        *words: Its command line.
        root: Folder of the project.
        trained: The network; None loads the run that is named.
        patch: Puts it in the place of the loaded one.
    """
    work = importlib.import_module(f"pipeline.work.{verb}")
    if trained is not None:
        patch.setattr("pipeline.work.verifying.load_trained", lambda **_: trained)
        patch.setattr(inference, "track", lambda batches, **_: batches)
    config = compose_plain(verb=verb, overrides=list(words))
    assert problems_of(verb=verb, config=config) == []
    settings = settings_of(verb=verb, config=config)
    composed = Composed(
        verb=verb, config=config, settings=settings, overrides=list(words), root=root, show_traceback=True
    )
    return int(work.run(composed=composed, **settings))


def striped(row: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """A picture of somebody: one bright row of eight, and a little grey noise that is another in each."""
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[4 * row : 4 * row + 4] = 200
    noise = np.random.default_rng(seed).integers(0, 30, (32, 32, 1)).astype(np.uint8)
    return picture + noise


def write_people(folder: Path, *, names: tuple[str, ...] = ("Ada", "Łukasz"), images: int = 2) -> Path:
    """A folder for each person, with pictures of the row that is theirs."""
    for row, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(images):
            cv2.imwrite(str(folder / name / f"{number}.png"), striped(row, seed=number))
    return folder
