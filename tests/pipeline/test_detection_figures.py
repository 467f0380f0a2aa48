"""The pictures and tables that a detector's run leaves behind."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.loggers.logger import DummyLogger
from torch.utils.data import DataLoader

from lightning_modules.metrics.detection.analysis import Analysis, analyse
from lightning_modules.metrics.detection.records import Judged, judge
from pipeline import figures_detection
from pipeline.callbacks import detection_scenes
from pipeline.callbacks.detection_figures import DetectionFigures, write_detections
from pipeline.callbacks.detection_scenes import extremes, judged_scene, watched
from pipeline.callbacks.figure_files import write_per_class
from pipeline.figures_detection import Scene

NAMES = ["cat", "dog"]
HEIGHT, WIDTH, IMAGES = 24, 32, 8


def item(index: int) -> dict[str, Any]:
    """A cat at a place that depends on the index; every third image has a crowd of dogs, too."""
    boxes = torch.tensor([[index, 2, index + 10, 12], [15, 10, 31, 22]], dtype=torch.float32)
    count = 2 if index % 3 == 0 else 1
    masks = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.uint8)
    masks[0, 2:12, index : index + 10] = 1
    return {
        "image": torch.full((3, HEIGHT, WIDTH), index, dtype=torch.uint8),
        "index": torch.tensor(index),
        "boxes": boxes[:count],
        "labels": torch.tensor([0, 1])[:count],
        "areas": torch.tensor([100.0, 192.0])[:count],
        "is_crowd": torch.tensor([False, True])[:count],
        "is_difficult": torch.tensor([False, False])[:count],
        "masks": masks[:count],
    }


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    batch = {name: [one[name] for one in items] for name in items[0]}
    return {**batch, "index": torch.stack(batch["index"])}


class Data(LightningDataModule):
    """Only what the callback asks for."""

    metadata: ClassVar = {"class_names": NAMES, "category_ids": [17, 18]}
    measured_split = "test"

    def dataset(self, split: str, *, augment: bool) -> list[dict[str, Any]]:
        assert (split, augment) == ("test", False)
        return [item(index) for index in range(IMAGES)]

    def image_ids(self, split: str) -> list[int]:
        assert split == "test"
        return [100 + index for index in range(IMAGES)]

    def loader(self) -> DataLoader[Any]:
        items: Any = [item(index) for index in range(IMAGES)]
        return DataLoader(items, batch_size=3, collate_fn=collate)

    train_dataloader = val_dataloader = test_dataloader = loader


class Detector(LightningModule):
    """Finds the cat where it is, of the wrong class in image 5; image 2 also has a second box."""

    monitor = "val/map"

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.judged: list[Judged] = []

    def analysis(self) -> Analysis:
        return analyse(self.judged, class_names=NAMES)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        return {"detections": [self.find(int(index)) for index in batch["index"]], "index": batch["index"]}

    def on_test_epoch_start(self) -> None:
        self.judged = []

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        for place, index in enumerate(batch["index"].tolist()):
            truth = {name: batch[name][place] for name in ("is_crowd", "is_difficult")}
            truth |= {f"true_{name}": batch[name][place] for name in ("boxes", "labels", "areas", "masks")}
            found = self.find(index)
            self.judged.append(judge(found, index=index, height=HEIGHT, width=WIDTH, **truth))
        return self.validation_step(batch, batch_idx)

    def find(self, index: int) -> dict[str, torch.Tensor]:
        one = item(index)
        count = 2 if index == 2 else 1
        return {
            "boxes": torch.tensor([[1.0, 14.0, 9.0, 20.0], one["boxes"][0].tolist()])[-count:],
            "scores": torch.tensor([0.95, 0.9])[-count:],
            "labels": torch.tensor([0, 1 if index == 5 else 0])[-count:],
            "masks": one["masks"][:1].bool().expand(2, -1, -1)[-count:],
        }


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


Drawn = list[dict[str, list[Scene]]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """The scenes of every picture that is drawn."""
    kept: Drawn = []
    draw = figures_detection.scenes

    def spy(groups: Mapping[str, Sequence[Scene]]) -> Any:
        kept.append({title: list(group) for title, group in groups.items()})
        return draw(groups)

    monkeypatch.setattr(figures_detection, "scenes", spy)
    return kept


def trainer(folder: Path, callback: DetectionFigures, *, logger: Any = False, epochs: int = 1) -> Trainer:
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


def test_a_test_leaves_pictures_and_tables(tmp_path: Path, drawn: Drawn) -> None:
    row = {"epoch": 0, "lr": 0.1, "train/loss": 2.0, "val/map": 0.1, "val/mar_10": 0.2}
    (tmp_path / "history.jsonl").write_text(json.dumps(row) + "\n")
    keeper = Keeper()
    trainer(tmp_path, DetectionFigures(examples=2), logger=keeper).test(
        Detector(), datamodule=Data(), verbose=False
    )
    names = ["confusion_matrix.png", "detections.json", "detections_segm.json", "errors.png"]
    names += ["learning_curves.png", "per_class.csv", "precision_recall.png", "predictions.png"]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == names
    assert keeper.files == [(name, "figures") for name in names]
    for path in (tmp_path / "figures").glob("*.png"):
        assert path.read_bytes()[:4] == b"\x89PNG"
        assert path.stat().st_size > 5000
    worst, best = drawn[0].values()
    assert [one.title for one in worst] == ["0 right, 1 wrong, 1 missed", "1 right, 1 wrong, 0 missed"]
    assert [int(one.image.max()) for one in worst] == [5, 2], "the pictures of those images"
    assert worst[0].image.shape == (HEIGHT, WIDTH, 3)
    assert {one.title for one in best} == {"1 right, 0 wrong, 0 missed"}


def test_detections_have_the_ids_of_the_data(tmp_path: Path) -> None:
    trainer(tmp_path, DetectionFigures()).test(Detector(), datamodule=Data(), verbose=False)
    rows = json.loads((tmp_path / "figures" / "detections.json").read_text())
    assert len(rows) == IMAGES + 1
    assert rows[0] == {
        "image_id": 100,
        "category_id": 17,
        "score": pytest.approx(0.9),
        "bbox": [0.0, 2.0, 10.0, 10.0],
    }
    assert [row["category_id"] for row in rows if row["image_id"] == 105] == [18]
    masks = json.loads((tmp_path / "figures" / "detections_segm.json").read_text())
    assert "bbox" not in masks[0], "tools would take its area"
    assert masks[0]["segmentation"]["size"] == [HEIGHT, WIDTH]


def test_without_masks_and_ids_detections_have_positions(tmp_path: Path) -> None:
    @dataclass
    class One:
        index = 3
        boxes = np.array([[1, 2, 4, 8]], dtype=np.float32)
        labels, scores, masks = np.array([1]), np.array([0.5]), None

    write_detections(tmp_path, [One()], image_ids={3: 3}, category_ids=[7, 9])
    expected = [{"image_id": 3, "category_id": 9, "score": 0.5, "bbox": [1.0, 2.0, 3.0, 6.0]}]
    assert json.loads((tmp_path / "detections.json").read_text()) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["detections.json"]


def test_the_table_leaves_open_what_is_unknown(tmp_path: Path) -> None:
    rows = [{"class": "a, b", "objects": 3, "ap": 0.123456}, {"class": "c", "objects": 0, "ap": float("nan")}]
    write_per_class(tmp_path / "per_class.csv", rows)
    with (tmp_path / "per_class.csv").open(newline="") as handle:
        assert list(csv.DictReader(handle)) == [
            {"class": "a, b", "objects": "3", "ap": "0.1235"},
            {"class": "c", "objects": "0", "ap": ""},
        ]


def test_training_leaves_pictures_of_the_same_validation_images(tmp_path: Path, drawn: Drawn) -> None:
    keeper = Keeper()
    callback = DetectionFigures(watched=4, every_n_epochs=2)
    trainer(tmp_path, callback, logger=keeper, epochs=4).fit(Detector(), datamodule=Data())
    names = [f"predictions_epoch_{epoch:03d}.png" for epoch in (0, 2, 3)]
    assert sorted(path.name for path in (tmp_path / "figures" / "epochs").iterdir()) == names
    assert keeper.images == [(name, "predictions", int(name[-7:-4])) for name in names]
    assert keeper.files == [], "the same picture would be there twice"
    for groups in drawn:
        (scenes,) = groups.values()
        assert [int(scene.image.max()) for scene in scenes] == [0, 1, 2, 3]


@pytest.mark.parametrize(("epochs", "expected"), [(5, 5), (100, 12), (-1, 6)])
def test_a_run_of_any_length_leaves_about_a_dozen_pictures(epochs: int, expected: int) -> None:
    class Epoch:
        max_epochs = epochs
        current_epoch = 0

    callback, count = DetectionFigures(), 0
    for Epoch.current_epoch in range(epochs if epochs > 0 else 20):
        if callback._due(Epoch()):  # type: ignore[arg-type]
            callback._last_epoch = Epoch.current_epoch
            count += 1
    assert count == expected


def test_images_of_other_processes_are_drawn(
    tmp_path: Path, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process has the odd images, the second the even ones."""
    batch = collate([item(index) for index in range(IMAGES)])
    everyone = [
        watched(batch, Detector().find(place), place=place, names=NAMES, threshold=0.5) for place in range(4)
    ]

    def all_gather_object(parts: list[Any], own: Any) -> None:
        parts[:] = [own, everyone[0::2]]

    monkeypatch.setattr(torch.distributed, "all_gather_object", all_gather_object)

    class Two:
        world_size, current_epoch, is_global_zero, default_root_dir = 2, 3, True, str(tmp_path)
        loggers: ClassVar[list[Any]] = []
        datamodule = Data()

    callback = DetectionFigures(watched=3)
    callback._drawing, callback._kept = True, everyone[1::2]
    callback.on_validation_end(Two(), Detector())  # type: ignore[arg-type]
    (scenes,) = drawn[0].values()
    assert [int(scene.image.max()) for scene in scenes] == [0, 1, 2]


def test_a_watched_image_has_its_boxes() -> None:
    batch = collate([item(index) for index in range(4)])
    found = {
        "boxes": torch.rand(3, 4),
        "scores": torch.tensor([0.2, 0.5, 0.8]),
        "labels": torch.tensor([0, 1, 0]),
    }
    scene = watched(batch, found, place=3, names=NAMES, threshold=0.5).scene
    assert [(one.text, one.style) for one in scene.truth] == [("cat", "truth"), ("dog", "ignored")]
    assert [one.text for one in scene.predictions] == ["cat 0.80", "dog 0.50"]
    assert scene.truth[0].mask is not None and scene.truth[0].mask.sum() == 100
    assert scene.predictions[0].mask is None
    assert watched(batch, found, place=3, names=NAMES, threshold=0.9).scene.title == (
        "no detections: best score 0.80"
    )


def test_a_judged_image_shows_what_is_wrong() -> None:
    model = Detector()
    model.test_step(collate([item(index) for index in range(IMAGES)]), 0)
    analysis = model.analysis()
    scene = judged_scene(
        np.zeros((HEIGHT, WIDTH, 3), np.uint8), model.judged[5], analysis["images"][5], NAMES
    )
    assert [(one.text, one.style) for one in scene.truth] == [("cat", "wrong")]
    assert [(one.text, one.style) for one in scene.predictions] == [("dog 0.90", "wrong")]
    assert scene.truth[0].mask is not None
    assert (scene.truth[0].mask == item(5)["masks"][0].bool().numpy()).all()
    with_crowd = judged_scene(scene.image, model.judged[3], analysis["images"][3], NAMES)
    assert [one.style for one in with_crowd.truth] == ["truth", "ignored"]
    assert [one.style for one in with_crowd.predictions] == ["prediction"]


def test_extremes_are_most_mistakes_and_most_found() -> None:
    def image(right: int, wrong: int, missed: int) -> dict[str, list[int]]:
        return {"right": [0] * right, "wrong": [0] * wrong, "missed": [0] * missed}

    images = [image(1, 0, 0), image(9, 1, 1), image(0, 0, 3), image(4, 0, 0), image(0, 0, 0)]
    assert extremes(images, 5) == ([2, 1], [3, 0])
    assert extremes(images, 1) == ([2], [3])
    assert detection_scenes.mistakes(images[1]) == 2


def test_no_figures_of_a_task_that_tells_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Silent(Detector):
        def test_step(self, batch: Any, batch_idx: int) -> Any:
            return None

        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            return None

    runner = trainer(tmp_path, DetectionFigures())
    runner.fit(Silent(), datamodule=Data())
    runner.test(Silent(), datamodule=Data(), verbose=False)
    assert not (tmp_path / "figures").exists()
    assert "no figures: the task kept no detections" in caplog.text
