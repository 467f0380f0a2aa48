"""What a measured epoch says of each image: enough to measure any other choice of the same images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lightning_modules.metrics.classification import classification_measures
from lightning_modules.metrics.detection.coco import NAMES, coco_measures
from lightning_modules.metrics.detection.records import Judged
from lightning_modules.metrics.detection.voc import mean_of_known, voc_precisions
from lightning_modules.metrics.segmentation import Tally, joined
from lightning_modules.metrics.verification.measured import Measured
from lightning_modules.metrics.verification.roc import area, equal_error_rate, roc, tar_at_far

Places = NDArray[np.int64]
VOC_NAMES = ("voc07_map_50", "voc10_map_50")


class Records(Protocol):
    """N measured images.

    Attributes:
        index: int64 (N,), ascending positions in the split.
        names: Measures that can be computed, without the stage.
    """

    @property
    def index(self) -> Places:
        """int64 (N,), ascending positions in the split."""

    @property
    def names(self) -> Sequence[str]:
        """Measures that can be computed, without the stage."""

    def __len__(self) -> int:
        """N."""

    def of_each(self, name: str) -> NDArray[np.float64] | None:
        """Of each image (N,), the number whose mean is the measure; None of a measure that is no mean."""

    def measure(self, places: Places, name: str) -> float:
        """A measure of some of the images, each as often as it is named.

        Bootstrap samples are such choices (Efron, Tibshirani: An introduction to the bootstrap, 1993, 6).

        Args:
            places: int64 (M,), each in [0, N).
            name: One of ``names``.

        Raises:
            ValueError: If it is not.
        """


class _Indexed:
    """Images by their positions in the split."""

    index: Places
    names: Sequence[str]

    def of_each(self, name: str) -> NDArray[np.float64] | None:
        """See ``Records``."""
        return None

    def __len__(self) -> int:
        return len(self.index)

    def _check(self, name: str) -> None:
        if name not in self.names:
            raise ValueError(
                f"measure={name} cannot be computed of single images; take one of {', '.join(self.names)}"
            )


class ClassifiedRecords(_Indexed):
    """Scores of classified images.

    Args:
        scores: (N, C), whose softmax are the probabilities.
        labels: int64 (N,), true class ids.
        index: int64 (N,), positions in the split; of one that is there twice, the first counts.
    """

    def __init__(self, scores: Tensor, labels: Tensor, index: Tensor) -> None:
        ascending, first = np.unique(index.numpy(), return_index=True)
        self.index: Places = ascending
        self.scores, self.labels = scores[first], labels[first]
        self._measures = classification_measures(num_classes=scores.shape[1], exact_auc=True)
        self.names: Sequence[str] = ("loss", *self._measures)

    @property
    def of_truth(self) -> Tensor:
        """Probability (N,) of the true class of each image."""
        return self.scores.softmax(dim=1).gather(1, self.labels[:, None])[:, 0]

    def of_each(self, name: str) -> NDArray[np.float64] | None:
        """See ``Records``."""
        if name in ("top1", "top5"):
            return np.asarray(self._among_best(int(name[3:])).numpy(), dtype=np.float64)
        if name == "loss":
            each = functional.cross_entropy(self.scores, self.labels, reduction="none")
            return np.asarray(each.numpy(), dtype=np.float64)
        return None

    @property
    def right(self) -> NDArray[np.bool_]:
        """Of each image (N,), whether its true class has the highest score."""
        return np.asarray(self._among_best(1).numpy(), dtype=np.bool_)

    def _among_best(self, count: int) -> Tensor:
        best = self.scores.softmax(dim=1).topk(min(count, self.scores.shape[1]), dim=1).indices
        return (best == self.labels[:, None]).any(dim=1)

    def measure(self, places: Places, name: str) -> float:
        """See ``Records``."""
        self._check(name)
        chosen = torch.from_numpy(np.ascontiguousarray(places))
        scores, labels = self.scores[chosen], self.labels[chosen]
        if name == "loss":
            return float(functional.cross_entropy(scores, labels))
        measure = self._measures[name]
        measure.reset()
        measure.update(scores.softmax(dim=1), labels)
        return float(measure.compute())


class DetectedRecords(_Indexed):
    """Images with what was found and what is there.

    Args:
        judged: Each image once, in the order of the split.
        num_classes: C.
        with_masks: Whether there are masks.
    """

    def __init__(self, judged: Sequence[Judged], *, num_classes: int, with_masks: bool) -> None:
        self.index: Places = np.array([one.index for one in judged], dtype=np.int64)
        of_masks = [f"segm_{name}" for name in NAMES] if with_masks else []
        self.names: Sequence[str] = (*NAMES, *VOC_NAMES, *of_masks)
        self._judged, self._num_classes = list(judged), num_classes

    def measure(self, places: Places, name: str) -> float:
        """See ``Records``; only the kind of measures is counted that the name belongs to."""
        self._check(name)
        some = [self._judged[place] for place in places]
        if name.startswith("voc"):
            by_points, by_area = voc_precisions(some, num_classes=self._num_classes)
            return float(mean_of_known(by_points if name.startswith("voc07") else by_area))
        kind, plain = ("segm", name.removeprefix("segm_")) if name.startswith("segm_") else ("bbox", name)
        return coco_measures(some, num_classes=self._num_classes, kind=kind)[plain]  # type: ignore[arg-type]


class SegmentedRecords(_Indexed):
    """Counts of pixels of each image.

    Args:
        tallies: Of each image, by its position in the split.
    """

    def __init__(self, tallies: Mapping[int, Tally]) -> None:
        self.index: Places = np.array(sorted(tallies), dtype=np.int64)
        self._tallies = [tallies[place] for place in self.index.tolist()]
        self.names: Sequence[str] = tuple(self._tallies[0].measured().measures()) if tallies else ()

    def measure(self, places: Places, name: str) -> float:
        """See ``Records``."""
        self._check(name)
        return joined([self._tallies[place] for place in places]).measured().measures()[name]


class VerifiedRecords(_Indexed):
    """Distances of pairs of images.

    A choice of images makes pairs of all the images in it, but not of one with itself: a pair counts as often
    as the product of how often its images are there.

    Args:
        measured: Of a split.
    """

    names: Sequence[str] = (
        "auc",
        "eer",
        "tar_at_far_0.1",
        "tar_at_far_0.01",
        "tar_at_far_0.001",
        "tar_at_far_0.0001",
    )

    def __init__(self, measured: Measured) -> None:
        self.index: Places = measured.index
        order = np.argsort(measured.distance, kind="stable")
        self._first, self._second = (
            np.searchsorted(measured.index, side[order]) for side in (measured.first, measured.second)
        )
        self._distance, self._same = measured.distance[order], measured.same[order]

    def measure(self, places: Places, name: str) -> float:
        """See ``Records``; nan where one kind of pairs is missing."""
        self._check(name)
        counts = np.bincount(places, minlength=len(self))
        times = counts[self._first] * counts[self._second]
        curve = roc(np.repeat(self._distance, times), np.repeat(self._same, times))
        if name == "auc":
            return area(curve)
        if name == "eer":
            return equal_error_rate(curve)
        return tar_at_far(curve, float(name.rpartition("_")[2]))


@dataclass(frozen=True)
class PaintedRecords:
    """Measures of each picture, whose means are reported.

    Attributes:
        measures: By name, of each picture by its position in the split.
    """

    measures: Mapping[int, Mapping[str, float]]

    @property
    def index(self) -> Places:
        """See ``Records``."""
        return np.array(sorted(self.measures), dtype=np.int64)

    @property
    def names(self) -> Sequence[str]:
        """See ``Records``."""
        return tuple(next(iter(self.measures.values()), {}))

    def __len__(self) -> int:
        """See ``Records``."""
        return len(self.measures)

    def of_each(self, name: str) -> NDArray[np.float64] | None:
        """See ``Records``."""
        return np.array([self.measures[place][name] for place in self.index.tolist()], dtype=np.float64)

    def measure(self, places: Places, name: str) -> float:
        """See ``Records``."""
        if name not in self.names:
            raise ValueError(f"measure={name} was not measured; take one of {', '.join(self.names)}")
        rows = [self.measures[place] for place in self.index[places].tolist()]
        return float(torch.tensor([row[name] for row in rows], dtype=torch.float64).mean())
