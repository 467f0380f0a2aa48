"""The pictures that a painter's run leaves behind."""

import json
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.loggers.logger import DummyLogger
from torch.utils.data import DataLoader

from pipeline.callbacks.figure_files import write_drawn
from pipeline.callbacks.style_transfer_figures import StyleTransferFigures
from pipeline.figures_style_transfer import HEIGHT, WIDEST, PaintedScene, side_by_side

SIZE = (14, 29)


def item(index: int) -> dict[str, Any]:
    return {
        "image": torch.full((3, *SIZE), 10 * index, dtype=torch.uint8),
        "index": index,
        "style": [torch.zeros(3, 40, 20, dtype=torch.uint8)],
        "style_index": 0,
    }


def painted(index: int, *, epoch: int) -> torch.Tensor:
    """Red, green and blue that say which picture of which epoch it is; no two pixels of a row alike."""
    picture = torch.arange(SIZE[1], dtype=torch.uint8).expand(3, *SIZE).clone()
    picture[0], picture[1] = 100 + index, epoch
    return picture


class Data(LightningDataModule):
    """Only what the callback asks for."""

    metadata: ClassVar = {"content_size": list(SIZE)}

    def __init__(self, *, count: int = 1) -> None:
        super().__init__()
        self.count = count

    def loader(self) -> DataLoader[Any]:
        items: Any = [item(index) for index in range(self.count)]
        return DataLoader(items, batch_size=2, collate_fn=collate)

    train_dataloader = val_dataloader = test_dataloader = loader


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: [one[key] for one in items] for key in items[0]}


class Painter(LightningModule):
    """Paints nothing worth seeing."""

    monitor = "val/loss"
    paints = True

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        pictures = [painted(index, epoch=self.current_epoch) for index in batch["index"]]
        return {"picture": pictures, "index": batch["index"]} if self.paints else None

    test_step = validation_step


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


def trainer(folder: Path, *, logger: Any = False, epochs: int = 1, **options: Any) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        callbacks=[StyleTransferFigures(**options)],
        logger=logger,
        max_epochs=epochs,
        limit_train_batches=1,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def read(path: Path) -> Any:
    found = cv2.imread(str(path))
    assert found is not None, path
    return found[..., ::-1]


def history(folder: Path) -> None:
    row = {"epoch": 0, "lr": 1.0, "val/loss": 2.0, "val/ssim": 0.5, "val/style_relu1_1": 0.1}
    (folder / "history.jsonl").write_text(json.dumps(row) + "\n")


def test_a_test_leaves_the_picture_itself_and_what_it_was_made_of(tmp_path: Path) -> None:
    history(tmp_path)
    keeper = Keeper()
    trainer(tmp_path, logger=keeper).test(Painter(), datamodule=Data(), verbose=False)
    names = ["learning_curves.png", "result.png", "side_by_side.png"]
    assert keeper.files == [(name, "figures") for name in names]
    result = read(tmp_path / "figures" / "result.png")
    assert np.array_equal(result, painted(0, epoch=0).numpy().transpose(1, 2, 0)), "pixel for pixel, no axes"


def test_the_picture_of_an_epoch_is_the_picture(tmp_path: Path) -> None:
    keeper = Keeper()
    trainer(tmp_path, logger=keeper, epochs=3).fit(Painter(), datamodule=Data())
    names = [f"picture_epoch_{epoch:03d}.png" for epoch in range(3)]
    assert keeper.images == [(name, "picture", int(name[-7:-4])) for name in names]
    assert keeper.files == [], "the same picture would be there twice"
    for epoch, name in enumerate(names):
        shown = read(tmp_path / "figures" / "epochs" / name)
        assert np.array_equal(shown, painted(0, epoch=epoch).numpy().transpose(1, 2, 0))


def test_the_sanity_check_and_epochs_between_are_not_drawn(tmp_path: Path) -> None:
    trainer(tmp_path, epochs=4, every_n_epochs=2).fit(Painter(), datamodule=Data())
    found = sorted(path.stem[-3:] for path in (tmp_path / "figures" / "epochs").iterdir())
    assert found == ["000", "002", "003"]


def test_several_pictures_are_drawn_beside_their_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[PaintedScene]] = []

    def keep(scenes: list[PaintedScene], *, title: str = "") -> Figure:
        drawn.append(scenes)
        return side_by_side(scenes, title=title)

    monkeypatch.setattr("pipeline.figures_style_transfer.side_by_side", keep)
    run = trainer(tmp_path, examples=3)
    run.fit(Painter(), datamodule=Data(count=5))
    run.test(Painter(), datamodule=Data(count=5), verbose=False)
    for scenes in drawn:
        assert [int(scene.result[0, 0, 0]) for scene in scenes] == [100, 101, 102]
        assert [int(scene.content[0, 0, 0]) for scene in scenes] == [0, 10, 20]
        assert all(scene.styles[0].shape == (40, 20, 3) for scene in scenes)
    assert len(drawn) == 2
    assert len(list((tmp_path / "figures" / "epochs").iterdir())) == 1
    assert read(tmp_path / "figures" / "result.png")[0, 0, 0] == 100


def test_a_task_that_paints_nothing_leaves_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    painter = Painter()
    painter.paints = False
    run = trainer(tmp_path)
    run.fit(painter, datamodule=Data())
    run.test(painter, datamodule=Data(), verbose=False)
    assert not (tmp_path / "figures").exists()
    assert "no figures: the task painted nothing" in caplog.text


def scene(*, styles: int = 1, width: int = 64) -> PaintedScene:
    picture = np.full((32, width, 3), 90, np.uint8)
    return PaintedScene(content=picture, styles=[np.zeros((50, 50, 3), np.uint8)] * styles, result=picture)


def test_pictures_stand_in_a_row_at_one_height() -> None:
    figure = side_by_side([scene(styles=2)])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["content", "style 1", "style 2", "result"]
    figure.draw_without_rendering()
    heights = [axes.get_window_extent().height for axes in figure.axes]
    assert max(heights) - min(heights) < 0.03 * max(heights)
    assert min(heights) > 0.8 * HEIGHT * figure.dpi


def test_a_row_of_many_pictures_is_made_smaller() -> None:
    figure = side_by_side([scene(styles=20, width=320), scene()], title="Validation after epoch 3")
    assert figure.get_figwidth() <= WIDEST + 1
    assert [axes.get_title() for axes in figure.axes][-3:] == ["content", "style", "result"]


def test_a_picture_is_written_as_it_is(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (29, 58, 3)).astype(np.uint8)
    write_drawn(tmp_path / "picture.png", picture)
    assert np.array_equal(read(tmp_path / "picture.png"), picture)
