"""The pictures that a verifier's run leaves behind."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.loggers.logger import DummyLogger
from torch.utils.data import DataLoader

from pipeline import figures, figures_verification
from pipeline.callbacks.verification_figures import VerificationFigures
from pipeline.callbacks.verification_scenes import hardest_pairs, mapped, pair_scene
from pipeline.figures_verification import PairScene

IMAGES = 8
NAMES = ["ann", "bob"]
PAIRS = ["distances.png", "embedding_map.png", "hardest_pairs.png", "learning_curves.png", "roc.png"]


def item(index: int) -> dict[str, Any]:
    """A picture as bright as its index, of each identity by turns."""
    return {
        "image": torch.full((3, 16, 16), 10 * index, dtype=torch.uint8),
        "label": index % 2,
        "index": index,
    }


@dataclass
class Measured:
    """What the callback asks of the task's measures: every two of eight images on a line, and a curve."""

    threshold: float = 3.5

    def __post_init__(self) -> None:
        self.first, self.second = np.triu_indices(IMAGES, k=1)
        self.same = (self.second - self.first) % 2 == 0
        self.distance = (self.second - self.first).astype(np.float64)
        self.far, self.tar = np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.4, 1.0])
        self.embeddings = np.arange(IMAGES * 4, dtype=np.float32).reshape(IMAGES, 4)
        self.labels = np.arange(IMAGES) % 2
        self.index = np.arange(IMAGES)

    def measures(self) -> dict[str, float]:
        return {"auc": 0.45, "eer": 0.55}


class Data(LightningDataModule):
    """Only what the callback asks for."""

    metadata: ClassVar = {"num_identities": 2}
    measured_split = "test"
    data = SimpleNamespace(identity_names=NAMES)

    def dataset(self, split: str, *, augment: bool) -> list[dict[str, Any]]:
        assert (split, augment) == ("test", False)
        return [item(index) for index in range(IMAGES)]

    def loader(self) -> DataLoader[Any]:
        items: Any = [item(index) for index in range(IMAGES)]
        return DataLoader(items, batch_size=3)

    train_dataloader = val_dataloader = test_dataloader = loader


class Verifier(LightningModule):
    """Measures nothing, and has it measured."""

    monitor = "val/auc"

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.measured: Any = None

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return None

    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        self.measured = Measured()

    on_validation_epoch_end = on_test_epoch_end


class Keeper(DummyLogger):
    """A logger that keeps files; it knows their names afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[tuple[str, str]] = []
        self.images: list[tuple[str, str, int]] = []

    def log_image(self, path: Path, *, name: str, step: int) -> None:
        assert path.is_file()
        self.images.append((path.name, name, step))

    def log_file(self, path: Path, folder: str = "") -> None:
        assert path.is_file()
        self.files.append((path.name, folder))


def trainer(folder: Path, callback: VerificationFigures, *, logger: Any = False, epochs: int = 1) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        callbacks=[callback],
        logger=logger,
        max_epochs=epochs,
        limit_train_batches=1,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def test_a_test_leaves_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"epoch": 0, "lr": 0.1, "train/loss": 2.0, "val/auc": 0.4, "val/recall_5": 0.2}
    (tmp_path / "history.jsonl").write_text(json.dumps(row) + "\n")
    drawn: dict[str, list[PairScene]] = {}
    draw = figures_verification.pairs

    def spy(groups: Mapping[str, Sequence[PairScene]]) -> Any:
        drawn.update({title: list(group) for title, group in groups.items()})
        return draw(groups)

    monkeypatch.setattr(figures_verification, "pairs", spy)
    curves: list[Any] = []
    draw_curves = figures.learning_curves
    monkeypatch.setattr(
        figures,
        "learning_curves",
        lambda rows, monitor: curves.append(rows) or draw_curves(rows, monitor=monitor),
    )
    keeper = Keeper()
    callback = VerificationFigures(examples=2)
    trainer(tmp_path, callback, logger=keeper).test(Verifier(), datamodule=Data(), verbose=False)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == PAIRS
    assert keeper.files == [(name, "figures") for name in PAIRS]
    for path in (tmp_path / "figures").glob("*.png"):
        assert path.read_bytes()[:4] == b"\x89PNG"
        assert path.stat().st_size > 5000
    assert curves == [[{name: row[name] for name in ("epoch", "lr", "train/loss", "val/auc")}]], "not all"
    matching, others = drawn.values()
    assert [(pair.names, pair.distance, pair.is_right) for pair in matching] == [
        (("bob", "bob"), 6, False),
        (("ann", "ann"), 6, False),
    ]
    assert [(pair.names, pair.distance, pair.is_right) for pair in others] == [
        (("ann", "bob"), 1, False),
        (("ann", "bob"), 1, False),
    ]
    assert {int(pair.first.max()) // 10 for pair in matching} == {0, 1}, "the pictures are theirs"
    assert {int(pair.second.max()) // 10 for pair in matching} == {6, 7}


def test_training_leaves_pictures_of_the_distances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[str] = []
    draw = figures_verification.distances

    def spy(distance: Any, same: Any, *, threshold: float, title: str) -> Any:
        titles.append(title)
        return draw(distance, same, threshold=threshold, title=title)

    monkeypatch.setattr(figures_verification, "distances", spy)
    keeper = Keeper()
    callback = VerificationFigures(every_n_epochs=2)
    trainer(tmp_path, callback, logger=keeper, epochs=4).fit(Verifier(), datamodule=Data())
    names = [f"distances_epoch_{epoch:03d}.png" for epoch in (0, 2, 3)]
    assert sorted(path.name for path in (tmp_path / "figures" / "epochs").iterdir()) == names
    assert keeper.images == [(name, "distances", int(name[-7:-4])) for name in names]
    assert keeper.files == [], "the same picture would be there twice"
    assert titles == [f"Validation after epoch {epoch}" for epoch in (1, 3, 4)]


def test_pictures_while_it_learns_can_be_left_out(tmp_path: Path) -> None:
    callback = VerificationFigures(every_n_epochs=0)
    trainer(tmp_path, callback, epochs=2).fit(Verifier(), datamodule=Data())
    assert not (tmp_path / "figures").exists()


def test_a_curve_of_one_kind_of_pairs_is_left_out(tmp_path: Path) -> None:
    class Alike(Measured):
        def measures(self) -> dict[str, float]:
            return {}

        def __post_init__(self) -> None:
            super().__post_init__()
            self.same, self.far = np.ones_like(self.same), np.zeros(0)  # as the task leaves it then

    class OfOneKind(Verifier):
        def on_test_epoch_end(self) -> None:
            self.measured = Alike()

    trainer(tmp_path, VerificationFigures()).test(OfOneKind(), datamodule=Data(), verbose=False)
    assert {path.name for path in (tmp_path / "figures").iterdir()} == set(PAIRS) - {
        "roc.png",
        "learning_curves.png",
    }


def test_no_figures_of_a_task_that_measured_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Silent(Verifier):
        def on_test_epoch_end(self) -> None:
            pass

        on_validation_epoch_end = on_test_epoch_end

    runner = trainer(tmp_path, VerificationFigures())
    runner.fit(Silent(), datamodule=Data())
    runner.test(Silent(), datamodule=Data(), verbose=False)
    assert not (tmp_path / "figures").exists()
    assert "no figures: the task measured no pairs" in caplog.text


def test_no_image_is_shown_twice_among_the_hardest() -> None:
    measured = Measured()
    matching, others = hardest_pairs(measured, 3)
    assert measured.distance[matching].tolist() == [6, 6, 2], "4 would show an image again"
    assert measured.distance[others].tolist() == [1, 1, 1]
    for places in (matching, others):
        images = [*measured.first[places], *measured.second[places]]
        assert len(set(images)) == len(images)
    assert len(hardest_pairs(measured, 100)[0]) == 4, "and no more than there are"


def test_without_a_threshold_no_pair_is_judged() -> None:
    images, measured = Data().dataset("test", augment=False), Measured(threshold=float("nan"))
    assert pair_scene(measured, 0, images=images, names=NAMES).is_right is None
    judged = [pair_scene(Measured(threshold=1.0), place, images=images, names=NAMES) for place in (0, 1)]
    assert [pair.is_right for pair in judged] == [False, False], "a pair at the threshold is taken to match"


def groups(count: int, *, size: int = 64) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Embeddings of three identities that lie apart."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 3
    return 5 * np.eye(3, size)[labels] + 0.3 * generator.normal(size=(count, size)), labels


def test_a_map_keeps_neighbours_together_and_stays_the_same() -> None:
    embeddings, labels = groups(60)
    chosen, places = mapped(embeddings)
    assert chosen.tolist() == list(range(60))
    apart = np.linalg.norm(places[:, None] - places, axis=2) + np.diag(np.full(60, np.inf))
    assert (labels[apart.argmin(axis=1)] == labels).all()
    assert (mapped(embeddings)[1] == places).all()


@pytest.mark.parametrize(("count", "shown"), [(1, 0), (4, 0), (5, 5), (7, 7)])
def test_a_map_of_few_images(count: int, shown: int) -> None:
    chosen, places = mapped(groups(count, size=2)[0] if count > 1 else np.ones((1, 2)))
    assert (len(chosen), places.shape) == (shown, (shown, 2))


def test_a_map_of_many_images_shows_some_at_even_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.callbacks.verification_scenes.MOST_MAPPED", 7)
    assert mapped(groups(61)[0])[0].tolist() == [0, 10, 20, 30, 40, 50, 60]
