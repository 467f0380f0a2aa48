"""Figures and tables of a classifier, against slow loops and other libraries."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.loggers.logger import DummyLogger
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from torch.utils.data import DataLoader, Dataset
from torchmetrics.functional.classification import multiclass_calibration_error

from pipeline import figures
from pipeline.callbacks.classification_figures import (
    ClassificationFigures,
    Judged,
    _gathered,
    confusion_counts,
    extremes,
    joined,
    judge,
    write_per_class,
)

CLASSES = 4


def batch(
    count: int = 200, classes: int = CLASSES, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Probabilities, labels and indices of a classifier that is right more often than not."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes - 1, (count,), generator=generator)  # the last class never occurs
    scores = torch.randn(count, classes, generator=generator) + 2 * torch.nn.functional.one_hot(
        labels, classes
    )
    return scores.softmax(dim=1), labels, torch.arange(count)


def texts(figure: Figure) -> str:
    """Everything that is written in a figure, once it is drawn."""
    figure.canvas.draw()
    return " ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def test_a_batch_is_reduced_to_what_the_figures_need() -> None:
    probabilities, labels, index = batch(20)
    judged = judge(probabilities, labels, index)
    for row in range(20):
        shares = probabilities[row].tolist()
        assert judged.prediction[row] == shares.index(max(shares))
        assert judged.confidence[row] == pytest.approx(max(shares))
        assert judged.truth_probability[row] == pytest.approx(shares[labels[row]])


def test_images_that_two_processes_saw_count_once() -> None:
    first, second = judge(*batch(7)), judge(*batch(7, seed=1))
    whole = joined([first, second])
    assert whole is not None
    assert whole.index.tolist() == list(range(7))
    assert whole.label.tolist() == first.label.tolist()
    assert joined([]) is None


def test_every_process_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = judge(*batch(4)), judge(*batch(4))
    other = Judged(**{**vars(other), "index": other.index + 4})

    def all_gather_object(everyone: list[Any], mine: Any) -> None:
        everyone[:] = [mine, other, None]  # the third had no image

    class Three:
        world_size = 3

    monkeypatch.setattr(torch.distributed, "all_gather_object", all_gather_object)
    whole = _gathered([own], Three())  # type: ignore[arg-type]
    assert whole is not None
    assert whole.index.tolist() == list(range(8))


def test_confusion_agrees_with_scikit_learn() -> None:
    judged = judge(*batch())
    expected = confusion_matrix(judged.label, judged.prediction, labels=range(CLASSES))
    assert (confusion_counts(judged, CLASSES) == expected).all()


def test_per_class_table_agrees_with_scikit_learn(tmp_path: Path) -> None:
    judged = judge(*batch())
    write_per_class(tmp_path / "per_class.csv", judged, ["a", "b, with comma", "c", "d"])
    with (tmp_path / "per_class.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["a", "b, with comma", "c", "d"]
    expected = precision_recall_fscore_support(
        judged.label, judged.prediction, labels=range(CLASSES), zero_division=0.0
    )
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [float(row[name]) for row in rows] == pytest.approx(list(values), abs=5e-5), name


def test_calibration_error_agrees_with_a_slow_loop_and_torchmetrics() -> None:
    probabilities, labels, index = batch(500)
    judged = judge(probabilities, labels, index)
    correct = judged.prediction == judged.label
    slow = 0.0
    for low in range(15):
        inside = (judged.confidence > low / 15) & (judged.confidence <= (low + 1) / 15)
        if inside.any():
            gap = abs(judged.confidence[inside].mean() - correct[inside].mean())
            slow += gap * inside.sum() / len(correct)
    error = figures.calibration_error(judged.confidence, correct, 15)
    assert error == pytest.approx(slow)
    other = multiclass_calibration_error(probabilities, labels, num_classes=CLASSES, n_bins=15)
    assert error == pytest.approx(float(other), abs=1e-5)


def test_calibration_bins_hold_their_upper_border() -> None:
    confidence = np.array([0.0, 0.25, 0.26, 0.5, 1.0])
    means, shares, counts = figures.calibration_bins(confidence, np.array([1, 0, 1, 1, 1], dtype=bool), 4)
    assert counts.tolist() == [2, 2, 0, 1]
    assert means[[0, 1, 3]].tolist() == [0.125, 0.38, 1.0]
    assert shares[[0, 1, 3]].tolist() == [0.5, 1.0, 1.0]
    assert np.isnan(means[2])
    assert np.isnan(shares[2])


def test_extremes_are_highest_loss_and_most_confident_right() -> None:
    probabilities, labels, index = batch()
    probabilities[17] = torch.eye(CLASSES)[CLASSES - 1]  # quite sure, and wrong
    judged = judge(probabilities, labels, index)
    worst, best = extremes(judged, 5)
    assert worst[0] == 17
    assert judged.truth_probability[worst].tolist() == sorted(judged.truth_probability)[:5]
    right = judged.confidence[judged.prediction == judged.label]
    assert judged.confidence[best].tolist() == sorted(right, reverse=True)[:5]
    assert (judged.prediction[best] == judged.label[best]).all()


def test_a_small_matrix_shows_every_count_and_name() -> None:
    counts = np.array([[40, 2], [0, 17]])
    shown = texts(figures.confusion_matrix(counts, ["cat", "dog"]))
    for part in ("40", "17", "cat", "dog", "truth", "prediction", "57 of 59 right"):
        assert part in shown


def test_mistakes_have_a_colour_of_their_own() -> None:
    colours = figures._cell_colours(np.array([[99, 1], [0, 100]]))
    assert colours[1, 0].tolist() == [1, 1, 1], "nothing there"
    red, _, blue = colours[0, 1]
    assert red > blue + 0.2, "one mistake among a hundred is seen"
    red, _, blue = colours[1, 1]
    assert blue > red + 0.2


def test_a_large_matrix_lists_what_is_confused_most() -> None:
    counts = np.diag(np.full(1000, 50))
    counts[7, 8] = 30
    counts[500, 2] = 12
    names = [f"class number {number} of many classes" for number in range(1000)]
    shown = texts(figures.confusion_matrix(counts, names))
    assert "30 of 80" in shown
    assert "12 of 62" in shown
    assert "50 of 80" in shown, "the weakest class"
    assert shown.index("30 of 80") < shown.index("12 of 62")
    assert "No mistakes" in texts(figures.confusion_matrix(np.diag(np.full(30, 5)), names[:30]))


def test_long_names_are_cut_where_they_do_not_differ() -> None:
    short = figures.short_name("photograph of a rather long class 17")
    assert len(short) == 26
    assert short.endswith("class 17")


def test_reliability_diagram_states_its_error() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    correct = np.array([True, True, True, False])
    assert "calibration error 0.0500" in texts(figures.reliability_diagram(confidence, correct, 10))


ROWS = [
    {"epoch": 0, "lr": 0.1, "train/loss": 2.0, "val/loss": 1.5, "val/top1": 0.5, "train/top1": 0.4},
    {"epoch": 1, "lr": 0.05, "train/loss": 1.0},
    {"epoch": 2, "lr": 0.0, "train/loss": 0.5, "val/loss": 0.7, "val/top1": 0.8, "train/top1": 0.9},
]


def test_learning_curves_show_each_measure_once() -> None:
    figure = figures.learning_curves(ROWS, monitor="val/top1")
    losses, measures = figure.axes[:2]
    curves = {line.get_label(): line for axes in (losses, measures) for line in axes.lines}
    assert set(curves) == {"train/loss", "val/loss", "val/top1"}
    assert np.asarray(curves["val/loss"].get_xdata()).tolist() == [1, 3], (
        "an epoch without validation has no point"
    )
    assert np.asarray(curves["val/top1"].get_ydata()).tolist() == [0.5, 0.8]
    assert curves["val/top1"].get_linewidth() > curves["val/loss"].get_linewidth()


@pytest.mark.parametrize("rows", [ROWS[:1], [{"epoch": 0, "lr": None}], ROWS])
def test_learning_curves_of_short_runs_can_be_drawn(rows: Sequence[dict[str, Any]]) -> None:
    assert "epoch" in texts(figures.learning_curves(rows))


def example(truth: str, prediction: str) -> figures.Example:
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    return figures.Example(
        image=image, truth=truth, prediction=prediction, confidence=0.99996, truth_probability=0.01
    )


def test_examples_say_what_was_predicted_and_what_is_true() -> None:
    shown = texts(figures.worst_and_best([example("cat", "dog")], [example("cow", "cow")] * 7))
    assert "said dog (99.99 %)\nis cat (1 %)" in shown, "and never 100 %"
    assert shown.count("cow (99.99 %)") == 7
    assert "Right with most confidence: none" in texts(figures.worst_and_best([example("a", "b")], []))


class Images(Dataset[dict[str, Any]]):
    """Every image is filled with its own index."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = torch.full((3, 8, 8), index, dtype=torch.uint8)
        return {"image": image, "label": torch.tensor(index % CLASSES), "index": torch.tensor(index)}


class Data(LightningDataModule):
    """Only what a test needs."""

    metadata: ClassVar = {"class_names": ["a", "b", "c", "d"]}
    measured_split = "test"

    def dataset(self, split: str, *, augment: bool) -> Images:
        assert (split, augment) == ("test", False)
        return Images()

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Images(), batch_size=6)


class Classifier(LightningModule):
    """Takes everything for class b."""

    monitor = "val/top1"

    def __init__(self, *, tells: bool = True) -> None:
        super().__init__()
        self.tells = tells

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any] | None:
        probabilities = torch.full((len(batch["label"]), CLASSES), 0.1)
        probabilities[:, 1] = 0.7
        return {**batch, "probabilities": probabilities} if self.tells else None


class Keeper(DummyLogger):
    """A logger that keeps files; it knows their names afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[tuple[str, str]] = []

    def log_file(self, path: Path, folder: str = "") -> None:
        self.files.append((path.name, folder))


def measure(folder: Path, logger: Any, *, tells: bool = True) -> None:
    trainer = Trainer(
        default_root_dir=folder,
        callbacks=[ClassificationFigures(examples=3)],
        logger=logger,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.test(Classifier(tells=tells), datamodule=Data(), verbose=False)


def test_a_test_leaves_pictures_and_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    drawn: dict[str, list[figures.Example]] = {}
    draw = figures.worst_and_best

    def spy(worst: Sequence[figures.Example], best: Sequence[figures.Example]) -> Figure:
        drawn.update(worst=list(worst), best=list(best))
        return draw(worst, best)

    monkeypatch.setattr(figures, "worst_and_best", spy)
    keeper = Keeper()
    measure(tmp_path, keeper)
    names = ["confusion_matrix.png", "learning_curves.png", "per_class.csv", "reliability_diagram.png"]
    names += ["worst_and_best.png"]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == names
    assert keeper.files == [(name, "figures") for name in names]
    for path in (tmp_path / "figures").glob("*.png"):
        assert path.read_bytes()[:4] == b"\x89PNG"
        assert path.stat().st_size > 5000
    image: NDArray[np.uint8] = drawn["worst"][0].image
    assert (image.shape, image.max()) == ((8, 8, 3), 0), "the first of class a, which was taken for b"
    assert [(one.truth, one.prediction) for one in drawn["best"]] == [("b", "b")] * 3


def test_no_figures_of_a_task_that_tells_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    measure(tmp_path, logger=False, tells=False)
    assert not (tmp_path / "figures").exists()
    assert "no figures: the test step returned none of probabilities, label, index" in caplog.text
