"""The measures of a segmenter by the names under which they are logged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.boundary import Labels, boundary_f1

Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What a set of pictures says of a segmenter; shares are in [0, 1], nan where nothing can be said.

    Attributes:
        confusion: int64 (C, C), counted pixels of each true class (row) and predicted class (column).
        iou: (C,) intersection over union of each class; nan for one that neither is nor was predicted.
        accuracy: (C,) share of the pixels of each class that were found; nan for one that is not there.
        boundary_f1: (C,) mean over the pictures where the class has a contour; see ``boundary_f1``.
        loss: Mean cross-entropy of the counted pixels.
    """

    confusion: NDArray[np.int64]
    iou: Shares
    accuracy: Shares
    boundary_f1: Shares
    loss: float

    def measures(self) -> dict[str, float]:
        """Loss and measures by name, as the paper on FCN defines them (https://arxiv.org/abs/1411.4038, 5).

        ``miou`` and ``mean_accuracy`` are means over the classes for which they are defined, ``fw_iou``
        the mean weighted by the pixels of each class.
        """
        truth, right = self.confusion.sum(axis=1), np.diag(self.confusion)
        return {
            "loss": self.loss,
            "miou": _mean_of_known(self.iou),
            "pixel_accuracy": float(_ratio(right.sum(), truth.sum())),
            "mean_accuracy": _mean_of_known(self.accuracy),
            "fw_iou": float(_ratio((truth * np.nan_to_num(self.iou)).sum(), truth.sum())),
            "boundary_f1": _mean_of_known(self.boundary_f1),
        }


class Tally:
    """Sums over pictures from which everything is measured: their order and grouping do not matter.

    Means over pictures or batches would not do: a mean of the IoU of each picture is another number than
    the IoU of the whole set.

    Args:
        num_classes: C.
        ignored: Value of pixels that do not count.
    """

    def __init__(self, *, num_classes: int, ignored: int) -> None:
        self.num_classes, self.ignored = num_classes, ignored
        self.confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
        self.boundary_sums = np.zeros(num_classes)
        self.boundary_counts = np.zeros(num_classes, dtype=np.int64)
        self.loss_sum = 0.0

    def add(self, truth: Labels, predicted: Labels, *, loss: float) -> None:
        """Count one picture.

        Args:
            truth: (H, W) class ids, or ``ignored``.
            predicted: (H, W) class ids.
            loss: Sum of the cross-entropy of its counted pixels.
        """
        counted = truth != self.ignored
        pairs = truth[counted].astype(np.int64) * self.num_classes + predicted[counted]
        size = self.num_classes**2
        self.confusion += np.bincount(pairs, minlength=size).reshape(self.confusion.shape)
        scores = boundary_f1(truth, predicted, num_classes=self.num_classes, ignored=self.ignored)
        self.boundary_sums += np.nan_to_num(scores)
        self.boundary_counts += ~np.isnan(scores)
        self.loss_sum += loss

    def measured(self) -> Measured:
        """What the pictures so far say."""
        right, truth = np.diag(self.confusion), self.confusion.sum(axis=1)
        either = truth + self.confusion.sum(axis=0) - right
        return Measured(
            confusion=self.confusion.copy(),
            iou=_ratio(right, either),
            accuracy=_ratio(right, truth),
            boundary_f1=_ratio(self.boundary_sums, self.boundary_counts),
            loss=float(_ratio(self.loss_sum, truth.sum())),
        )


def joined(tallies: Sequence[Tally]) -> Tally:
    """One tally of all the pictures in several, such as those of several processes."""
    whole = Tally(num_classes=tallies[0].num_classes, ignored=tallies[0].ignored)
    for tally in tallies:
        whole.confusion += tally.confusion
        whole.boundary_sums += tally.boundary_sums
        whole.boundary_counts += tally.boundary_counts
        whole.loss_sum += tally.loss_sum
    return whole


def _ratio(part: NDArray[np.generic] | float, whole: NDArray[np.generic] | float) -> Shares:
    """Part by whole, nan where there is no whole."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(part, whole, dtype=np.float64)


def _mean_of_known(values: Shares) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
