"""Pictures and a table of the test images: what a classifier confuses, and how sure it is of it."""

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer

from pipeline import figures
from pipeline.callbacks.figure_files import (
    figures_folder,
    from_every_process,
    learning_curves,
    tell_loggers_of_all,
)

log = logging.getLogger(__name__)

KEYS = ("probabilities", "label", "index")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a classifier made of N images; five numbers each, however many classes there are.

    Attributes:
        index: (N,) place in the data set.
        label: (N,) class.
        prediction: (N,) most probable class.
        confidence: (N,) its probability.
        truth_probability: (N,) probability of the class.
    """

    index: NDArray[np.int64]
    label: NDArray[np.int64]
    prediction: NDArray[np.int64]
    confidence: NDArray[np.float64]
    truth_probability: NDArray[np.float64]


class ClassificationFigures(Callback):
    """Writes `figures/` of the run after a test: four pictures and `per_class.csv`.

    The task's test step must return `probabilities` (B, C), `label` (B,) and `index` (B,).

    Args:
        bins: Bins of the reliability diagram.
        examples: How many of the worst and of the best images to show.
    """

    def __init__(self, *, bins: int = 15, examples: int = 12) -> None:
        self._bins = bins
        self._examples = examples
        self._parts: list[Judged] = []

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier test."""
        self._parts = []

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what the figures need of a batch."""
        if isinstance(outputs, Mapping) and all(key in outputs for key in KEYS):
            self._parts.append(judge(outputs["probabilities"], outputs["label"], outputs["index"]))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, write, and tell the logger."""
        judged = _gathered(self._parts, trainer)
        if not trainer.is_global_zero:
            return
        if judged is None:
            log.warning("no figures: the test step returned none of %s", ", ".join(KEYS))
            return
        folder = figures_folder(trainer)
        names = list(_metadata(trainer, pl_module)["class_names"])
        for name, figure in self._drawn(trainer, pl_module, judged, names).items():
            figure.savefig(folder / name)
        write_per_class(folder / "per_class.csv", judged, names)
        tell_loggers_of_all(trainer, folder)

    def _drawn(
        self, trainer: Trainer, pl_module: LightningModule, judged: Judged, names: Sequence[str]
    ) -> dict[str, Figure]:
        correct = judged.prediction == judged.label
        drawn = {
            "confusion_matrix.png": figures.confusion_matrix(confusion_counts(judged, len(names)), names),
            "reliability_diagram.png": figures.reliability_diagram(judged.confidence, correct, self._bins),
        }
        drawn |= learning_curves(trainer, pl_module)
        if hasattr(getattr(trainer, "datamodule", None), "dataset"):
            drawn["worst_and_best.png"] = self._worst_and_best(trainer, judged, names)
        return drawn

    def _worst_and_best(self, trainer: Trainer, judged: Judged, names: Sequence[str]) -> Figure:
        dataset = trainer.datamodule.dataset(trainer.datamodule.measured_split, augment=False)  # type: ignore[attr-defined]
        worst, best = extremes(judged, self._examples)
        shown = [
            [_example(dataset, judged, int(place), names) for place in places] for places in (worst, best)
        ]
        return figures.worst_and_best(shown[0], shown[1])


def judge(probabilities: torch.Tensor, label: torch.Tensor, index: torch.Tensor) -> Judged:
    """Reduce a batch to what the figures need.

    Args:
        probabilities: (B, C), in [0, 1].
        label: (B,) class ids.
        index: (B,) places in the data set.
    """
    shares = probabilities.detach().double().cpu()
    labels = label.detach().long().cpu()
    confidence, prediction = shares.max(dim=1)
    return Judged(
        index=index.detach().long().cpu().numpy(),
        label=labels.numpy(),
        prediction=prediction.numpy(),
        confidence=confidence.numpy(),
        truth_probability=shares.gather(1, labels[:, None])[:, 0].numpy(),
    )


def joined(parts: Sequence[Judged]) -> Judged | None:
    """All images once, by their index; the sampler of several processes may repeat some. None of none."""
    if not parts:
        return None
    whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    _, first = np.unique(whole["index"], return_index=True)
    return Judged(**{name: values[first] for name, values in whole.items()})


def extremes(judged: Judged, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the images with the highest loss, and of the right ones with most confidence."""
    correct = judged.prediction == judged.label
    by_loss = np.argsort(judged.truth_probability, kind="stable")
    by_confidence = np.argsort(-judged.confidence, kind="stable")
    return by_loss[:count], by_confidence[correct[by_confidence]][:count]


def confusion_counts(judged: Judged, classes: int) -> NDArray[np.int64]:
    """(C, C) images of each true class (row) by predicted class (column)."""
    cells = np.bincount(judged.label * classes + judged.prediction, minlength=classes * classes)
    return cells.reshape(classes, classes)


def write_per_class(path: Path, judged: Judged, names: Sequence[str]) -> None:
    """Precision, recall, F1 (0 where there is nothing to divide by) and number of images of each class."""
    counts = confusion_counts(judged, len(names))
    right = np.diag(counts).astype(np.float64)
    predicted, support = counts.sum(axis=0), counts.sum(axis=1)
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(predicted + support, 1)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["class", "precision", "recall", "f1", "support"])
        for row in zip(names, precision, recall, f1, support, strict=True):
            writer.writerow([row[0], *(f"{value:.4f}" for value in row[1:4]), int(row[4])])


def _gathered(parts: Sequence[Judged], trainer: Trainer) -> Judged | None:
    """Those of every process."""
    everyone = from_every_process(joined(parts), trainer)
    return joined([part for part in everyone if part is not None])


def _metadata(trainer: Trainer, pl_module: LightningModule) -> Mapping[str, Any]:
    owner = pl_module if hasattr(pl_module, "metadata") else trainer.datamodule  # type: ignore[attr-defined]
    metadata = owner.metadata
    assert isinstance(metadata, Mapping)
    return metadata


def _example(dataset: Any, judged: Judged, place: int, names: Sequence[str]) -> figures.Example:
    image = dataset[int(judged.index[place])]["image"]
    return figures.Example(
        image=np.asarray(image).transpose(1, 2, 0),
        truth=names[judged.label[place]],
        prediction=names[judged.prediction[place]],
        confidence=float(judged.confidence[place]),
        truth_probability=float(judged.truth_probability[place]),
    )
