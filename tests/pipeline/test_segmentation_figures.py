"""The pictures and tables that a segmenter's run leaves behind."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.loggers.logger import DummyLogger
from torch.utils.data import DataLoader

from lightning_modules.metrics.segmentation import Measured, Tally
from pipeline import figures_segmentation
from pipeline.callbacks.segmentation_figures import SegmentationFigures
from pipeline.callbacks.segmentation_scenes import JudgedMask, extremes, image_iou
from pipeline.figures_segmentation import IGNORED, MaskScene

NAMES = ["ground", "cat", "dog"]
PALETTE = [[0, 0, 0], [255, 0, 0], [0, 0, 255]]
IMAGES = 8


def item(index: int) -> dict[str, Any]:
    """A cat of 8 x 8 pixels, and a line that does not count, in pictures that grow with the index."""
    mask = torch.zeros(16, 20 + index, dtype=torch.uint8)
    mask[4:12, 6:14] = 1
    mask[0] = IGNORED
    return {
        "image": torch.full((3, *mask.shape), 10 * index, dtype=torch.uint8),
        "index": index,
        "mask": mask,
    }


def prediction(index: int) -> torch.Tensor:
    """Right, but for as many lines of the cat as the index says, which are taken for a dog."""
    mask = item(index)["mask"].clone()
    mask[0] = 2  # where nothing counts
    mask[4 : 4 + index, 6:14] = 2
    return mask


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    batch: dict[str, Any] = {name: [one[name] for one in items] for name in items[0]}
    return {**batch, "index": torch.tensor(batch["index"])}


class Data(LightningDataModule):
    """Only what the callback asks for."""

    metadata: ClassVar = {"class_names": NAMES, "palette": PALETTE}
    measured_split = "test"

    def dataset(self, split: str, *, augment: bool) -> list[dict[str, Any]]:
        assert (split, augment) == ("test", False)
        return [item(index) for index in range(IMAGES)]

    def loader(self) -> DataLoader[Any]:
        items: Any = [item(index) for index in range(IMAGES)]
        return DataLoader(items, batch_size=3, collate_fn=collate)

    train_dataloader = val_dataloader = test_dataloader = loader


class Segmenter(LightningModule):
    """Answers with `prediction`."""

    monitor = "val/miou"

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.measured: Measured | None = None

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return {"mask": [prediction(index) for index in batch["index"].tolist()], "index": batch["index"]}

    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        tally = Tally(num_classes=3, ignored=IGNORED)
        for index in range(IMAGES):
            tally.add(item(index)["mask"].numpy(), prediction(index).numpy(), loss=0.0)
        self.measured = tally.measured()


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


Drawn = list[dict[str, list[MaskScene]]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """The scenes of every picture that is drawn."""
    kept: Drawn = []
    draw = figures_segmentation.scenes

    def spy(groups: Mapping[str, Sequence[MaskScene]], **options: Any) -> Any:
        assert options == {"names": NAMES, "palette": PALETTE}
        kept.append({title: list(group) for title, group in groups.items()})
        return draw(groups, **options)

    monkeypatch.setattr(figures_segmentation, "scenes", spy)
    return kept


def trainer(folder: Path, callback: SegmentationFigures, *, logger: Any = False, epochs: int = 1) -> Trainer:
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


def shades(scenes: Sequence[MaskScene]) -> list[int]:
    """Which images these are."""
    return [int(scene.image.max()) // 10 for scene in scenes]


def test_a_test_leaves_pictures_and_tables(tmp_path: Path, drawn: Drawn) -> None:
    row = {"epoch": 0, "lr": 0.1, "train/loss": 2.0, "val/loss": 1.0, "val/miou": 0.2}
    (tmp_path / "history.jsonl").write_text(json.dumps(row) + "\n")
    keeper = Keeper()
    callback = SegmentationFigures(examples=2)
    trainer(tmp_path, callback, logger=keeper).test(Segmenter(), datamodule=Data(), verbose=False)
    names = ["confusion_matrix.png", "iou_per_class.png", "learning_curves.png", "per_class.csv"]
    names += ["predictions.png"]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == names
    assert keeper.files == [(name, "figures") for name in names]
    for path in (tmp_path / "figures").glob("*.png"):
        assert path.read_bytes()[:4] == b"\x89PNG"
        assert path.stat().st_size > 5000
    worst, best = drawn[0].values()
    assert (shades(worst), shades(best)) == ([7, 6], [0, 1])
    assert [scene.title for scene in worst] == ["IoU 0.38", "IoU 0.42"]
    assert (worst[0].prediction == prediction(7).numpy()).all()
    assert worst[0].image.shape == (16, 27, 3), "each picture in its own size"
    assert not callback._extremes, "nothing is held after the test"


def test_no_more_masks_are_kept_than_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most, callback = 0, SegmentationFigures(examples=2)
    after = callback.on_test_batch_end

    def counting(*arguments: Any) -> None:
        nonlocal most
        after(*arguments)
        most = max(most, len(callback._extremes))

    monkeypatch.setattr(callback, "on_test_batch_end", counting)
    trainer(tmp_path, callback).test(Segmenter(), datamodule=Data(), verbose=False)
    assert most == 4


def test_the_table_has_what_was_measured(tmp_path: Path) -> None:
    model = Segmenter()
    trainer(tmp_path, SegmentationFigures()).test(model, datamodule=Data(), verbose=False)
    with (tmp_path / "figures" / "per_class.csv").open(newline="") as handle:
        rows = {row["class"]: row for row in csv.DictReader(handle)}
    assert list(rows) == NAMES
    assert rows["cat"]["pixels"] == str(IMAGES * 64)
    assert rows["cat"]["iou"] == rows["cat"]["accuracy"] == f"{1 - 28 / 64:.4f}"
    assert (rows["dog"]["iou"], rows["dog"]["accuracy"], rows["dog"]["pixels"]) == ("0.0000", "", "0")
    assert rows["ground"]["iou"] == "1.0000"
    assert 0 < float(rows["cat"]["boundary_f1"]) < 1


def test_training_leaves_pictures_of_the_same_validation_images(tmp_path: Path, drawn: Drawn) -> None:
    keeper = Keeper()
    callback = SegmentationFigures(watched=4, every_n_epochs=2)
    trainer(tmp_path, callback, logger=keeper, epochs=4).fit(Segmenter(), datamodule=Data())
    names = [f"predictions_epoch_{epoch:03d}.png" for epoch in (0, 2, 3)]
    assert sorted(path.name for path in (tmp_path / "figures" / "epochs").iterdir()) == names
    assert keeper.images == [(name, "predictions", int(name[-7:-4])) for name in names]
    assert keeper.files == [], "the same picture would be there twice"
    for groups in drawn:
        (scenes,) = groups.values()
        assert shades(scenes) == [0, 1, 2, 3]


def test_masks_of_other_processes_are_shown(
    tmp_path: Path, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second process has the best image, and one that the first has, too: samplers repeat some."""
    ours, theirs = (
        [
            JudgedMask(index=index, iou=1 - index / 10, prediction=prediction(index).numpy())
            for index in indices
        ]
        for indices in ((1, 2, 3), (0, 3))
    )

    def all_gather_object(parts: list[Any], own: Any) -> None:
        parts[:] = [own, theirs]

    monkeypatch.setattr(torch.distributed, "all_gather_object", all_gather_object)

    class Two:
        world_size, is_global_zero, default_root_dir = 2, True, str(tmp_path)
        loggers: ClassVar[list[Any]] = []
        datamodule = Data()

    model = Segmenter()
    model.on_test_epoch_end()
    callback = SegmentationFigures(examples=2)
    callback._extremes = ours
    callback.on_test_end(Two(), model)  # type: ignore[arg-type]
    worst, best = drawn[0].values()
    assert (shades(worst), shades(best)) == ([3, 2], [0, 1])


def test_extremes_do_not_share_an_image() -> None:
    mask = np.zeros((1, 1), np.uint8)
    judged = [JudgedMask(index=index, iou=index / 10, prediction=mask) for index in range(3)]
    worst, best = extremes([*judged, judged[0]], 2)
    assert ([one.index for one in worst], [one.index for one in best]) == ([0, 1], [2])


def test_an_image_is_judged_by_what_counts() -> None:
    truth, guess = np.array([[0, 1], [1, IGNORED]], np.uint8), np.array([[0, 1], [2, 2]], np.uint8)
    assert image_iou(truth, guess) == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert np.isnan(image_iou(np.full((2, 2), IGNORED, np.uint8), guess[:2]))


def test_no_figures_of_a_task_that_tells_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Silent(Segmenter):
        def test_step(self, batch: Any, batch_idx: int) -> Any:
            return None

        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            return None

        def on_test_epoch_end(self) -> None:
            pass

    runner = trainer(tmp_path, SegmentationFigures())
    runner.fit(Silent(), datamodule=Data())
    runner.test(Silent(), datamodule=Data(), verbose=False)
    assert not (tmp_path / "figures").exists()
    assert "no figures: the task measured no masks" in caplog.text
