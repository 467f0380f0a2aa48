"""The progress of real, tiny runs, on a terminal and elsewhere, and the history they leave."""

import io
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from pipeline import progress_view
from pipeline.callbacks import progress
from pipeline.callbacks.history import History
from pipeline.callbacks.progress import Progress
from pipeline.history_file import HISTORY_FILE, read_history
from pipeline.progress_view import Pace, View, epoch_line

BATCHES = 6


class Line(LightningModule):
    """Fits nothing, slowly where asked."""

    monitor = "val/top1"

    def __init__(self, *, pause: float = 0.0, fail_at: int = -1) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.pause = pause
        self.fail_at = fail_at

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Mapping[str, Tensor]:
        if self.global_step == self.fail_at:
            raise RuntimeError("as asked")
        loss = self.layer(batch[0]).square().mean()
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        self.log("train/loss_step", loss)
        return {"loss": loss}

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        time.sleep(self.pause)
        self.log("val/loss", self.layer(batch[0]).square().mean())
        self.log("val/top1", torch.tensor(0.25 * (1 + self.current_epoch)))

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        time.sleep(self.pause)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def loader() -> DataLoader[Any]:
    return DataLoader(TensorDataset(torch.ones(2 * BATCHES, 2)), batch_size=2)


def trainer(folder: Path, *callbacks: Callback, **options: Any) -> Trainer:
    quiet = {"logger": False, "enable_model_summary": False, "num_sanity_val_steps": 1, "accelerator": "cpu"}
    has_checkpoint = any(isinstance(callback, ModelCheckpoint) for callback in callbacks)
    return Trainer(
        default_root_dir=folder,
        callbacks=list(callbacks),
        enable_checkpointing=has_checkpoint,
        **{**quiet, **options},
    )


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A console that keeps every line."""
    file = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=file, width=80))
    return file


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 80 columns on which every change is drawn."""
    file = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=file, width=80, force_terminal=True))
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    return file


def frames(file: io.StringIO) -> list[str]:
    """What was drawn each time, without colours."""
    drawn = re.split(r"\x1b\[2K|\x1b\[\?25[lh]", file.getvalue())
    return [shown for frame in drawn if (shown := re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame).strip())]


def screen(file: io.StringIO) -> list[str]:
    """What a terminal shows in the end, after everything that was drawn and taken away."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]|[^\x1b\r\n]+", file.getvalue()):
        if part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.endswith("A"):
            row -= int(part[2:-1])
        elif part.endswith("K"):
            lines[row] = ""
        elif not part.startswith("\x1b"):
            lines[row] = lines[row][:column] + part + lines[row][column + len(part) :]
            column += len(part)
    return [line for line in lines if line.strip()]


def test_elsewhere_each_epoch_is_one_line(tmp_path: Path, plain: io.StringIO) -> None:
    keeper = ModelCheckpoint(tmp_path, monitor="val/top1", mode="max")
    trainer(tmp_path, Progress(), keeper, max_epochs=3).fit(Line(), loader(), loader())
    lines = plain.getvalue().splitlines()
    assert len(lines) == 3
    number = r"[\d.e+-]+"
    assert re.fullmatch(
        rf"epoch 2/3  \d+ s  {number} batches/s  \d+ s left  "
        rf"train/loss {number} · val/loss {number} · val/top1 0.5 · best 0.5",
        lines[1],
    ), lines[1]


def test_a_terminal_shows_the_whole_run_and_is_left_clean(tmp_path: Path, terminal: io.StringIO) -> None:
    trainer(tmp_path, Progress(), max_epochs=2).fit(Line(), loader(), loader())
    drawn = frames(terminal)
    assert any("epoch 1/2" in frame and "batch 3/6" in frame for frame in drawn)
    assert any("epoch 2/2" in frame and "batch 6/6" in frame and "left" in frame for frame in drawn)
    assert any("train/loss" in frame and "val/top1 0.25" in frame for frame in drawn)
    left = screen(terminal)
    assert len(left) == 1
    assert re.fullmatch(r"trained for \d+ s, .* batches/s with validation", left[0])
    assert max(len(line) for frame in drawn for line in frame.splitlines()) <= 80


def test_other_stages_get_a_bar_only_if_they_take_their_time(
    tmp_path: Path, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = trainer(tmp_path, Progress(), max_epochs=1)
    quick.fit(Line(), loader(), loader())
    quick.test(Line(), loader(), verbose=False)
    assert not any("validation" in frame.split("trained")[0] or "test" in frame for frame in frames(terminal))
    monkeypatch.setattr(progress_view, "UNHURRIED", 0.02)
    slow = trainer(tmp_path, Progress(), max_epochs=1)
    slow.fit(Line(pause=0.01), loader(), loader())
    slow.test(Line(pause=0.01), loader(), verbose=False)
    assert any("validation" in frame and "batch 6/6" in frame for frame in frames(terminal))
    assert any(frame.startswith("test") and "batch 6/6" in frame for frame in frames(terminal))


def test_the_sanity_check_is_no_stage(
    tmp_path: Path, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_view, "UNHURRIED", -1.0)
    trainer(tmp_path, Progress(), max_epochs=1).fit(Line(), loader(), loader())
    assert frames(terminal)[0].startswith("epoch 1/1")


def test_a_run_resumed_inside_an_epoch_counts_on(tmp_path: Path, terminal: io.StringIO) -> None:
    keeper = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    trainer(tmp_path, Progress(), keeper, max_epochs=3).fit(Line(), loader(), loader())
    terminal.truncate(0)
    terminal.seek(0)
    shown = Progress()
    again = trainer(tmp_path, shown, max_epochs=3)
    again.fit(Line(), loader(), loader(), ckpt_path=tmp_path / "step=8.ckpt", weights_only=True)
    drawn = frames(terminal)
    assert "epoch 2/3" in drawn[0]
    assert "batch 2/6" in drawn[0]
    assert not any("epoch 1/3" in frame for frame in drawn)
    assert any("epoch 3/3" in frame and "batch 6/6" in frame for frame in drawn)


def test_steps_may_limit_a_run(tmp_path: Path, terminal: io.StringIO) -> None:
    trainer(tmp_path, Progress(), max_steps=8).fit(Line(), loader())
    assert any("epoch 2/2" in frame and "batch 2/6" in frame for frame in frames(terminal))


def test_a_failure_takes_the_bar_away(tmp_path: Path, terminal: io.StringIO) -> None:
    bar = Progress()
    with pytest.raises(RuntimeError, match="as asked"):
        trainer(tmp_path, bar, max_epochs=1).fit(Line(fail_at=3), loader(), loader())
    assert screen(terminal) == []
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h"), "cursor"


def test_a_disabled_bar_shows_nothing(tmp_path: Path, plain: io.StringIO) -> None:
    bar = Progress()
    bar.disable()
    trainer(tmp_path, bar, max_epochs=1).fit(Line(), loader(), loader())
    assert plain.getvalue() == ""


def test_time_left_counts_only_what_this_process_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 110.0)
    pace = Pace(total=100, done=60, before=50, started=100.0)
    assert (pace.rate, pace.left) == (1.0, 40.0)
    assert Pace(total=100, done=50, before=50, started=100.0).left is None
    assert Pace(total=None, done=60, before=50, started=100.0).left is None


def test_time_left_goes_by_whole_epochs_where_there_was_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 110.0)
    run = Pace(total=30, done=15, before=0, started=80.0)
    view = View(run=run, epoch=run, number=2, epochs=3, began=106.0, whole_epoch=20.0)
    assert view.left == 16.0 + 20.0
    assert "36 s left" in epoch_line(view)


def test_history_has_a_row_for_each_epoch(tmp_path: Path, plain: io.StringIO) -> None:
    trainer(tmp_path, History(), Progress(), max_epochs=3).fit(Line(), loader(), loader())
    rows = read_history(tmp_path / HISTORY_FILE)
    assert [(row["epoch"], row["step"], row["lr"]) for row in rows] == [
        (0, 6, 0.01),
        (1, 12, 0.01),
        (2, 18, 0.01),
    ]
    assert [row["val/top1"] for row in rows] == [0.25, 0.5, 0.75]
    assert all(row["seconds"] > 0 and row["train/loss"] > 0 for row in rows)
    assert "train/loss_step" not in rows[0]


def test_history_has_no_measure_of_an_epoch_without_validation(tmp_path: Path, plain: io.StringIO) -> None:
    trainer(tmp_path, History(), Progress(), max_epochs=3, check_val_every_n_epoch=2).fit(
        Line(), loader(), loader()
    )
    rows = read_history(tmp_path / HISTORY_FILE)
    assert ["val/top1" in row for row in rows] == [False, True, False]


def test_history_of_a_resumed_run_has_each_epoch_once(tmp_path: Path, plain: io.StringIO) -> None:
    keeper = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    trainer(tmp_path, History(), Progress(), keeper, max_epochs=3).fit(Line(), loader(), loader())
    before = read_history(tmp_path / HISTORY_FILE)
    history = History()
    again = trainer(tmp_path, history, Progress(), max_epochs=4)
    again.fit(Line(), loader(), loader(), ckpt_path=tmp_path / "step=8.ckpt", weights_only=True)
    rows = read_history(tmp_path / HISTORY_FILE)
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert rows[0] == before[0]
    assert [row["step"] for row in rows] == [6, 12, 18, 24]


def test_history_goes_on_with_the_seconds_of_half_an_epoch() -> None:
    history = History()
    history.load_state_dict({"seconds": 100.0})
    assert history.state_dict()["seconds"] == 100.0


def test_no_history_is_no_rows(tmp_path: Path) -> None:
    assert read_history(tmp_path / HISTORY_FILE) == []
