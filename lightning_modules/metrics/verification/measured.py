"""The measures of a verifier by the names under which they are logged."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_modules.metrics.verification.calibration import best_threshold
from lightning_modules.metrics.verification.pairs import NO_FOLD, Compare, ImagePairs, distances_of, pairs_of
from lightning_modules.metrics.verification.protocol import (
    balanced_accuracy,
    deal_folds,
    fold_accuracies,
    standard_error,
)
from lightning_modules.metrics.verification.records import Ids, Seen
from lightning_modules.metrics.verification.retrieval import Retrieval, retrieve
from lightning_modules.metrics.verification.roc import (
    Flags,
    Numbers,
    Roc,
    accepted,
    area,
    equal_error_rate,
    roc,
    tar_at_far,
)

TARGETS = (0.1, 0.01, 0.001, 0.0001)
"""Shares of false accepts at which true ones are reported."""


@dataclass(frozen=True)
class Measured:
    """What a split says of a verifier: P pairs of its N images, their curve, and how images are found.

    Attributes:
        first: int64 (P,), positions in the split.
        second: int64 (P,), positions in the split.
        same: bool (P,), whether a pair matches.
        fold: int64 (P,), part of the protocol that a pair belongs to; -1: none.
        distance: float64 (P,), smaller means more alike.
        far: float64 (T,), false accepts at each threshold; empty where one kind of pairs is missing.
        tar: float64 (T,), true accepts at each threshold.
        thresholds: float64 (T,), ascending; a pair is accepted up to this distance.
        embeddings: float32 (N, D).
        labels: int64 (N,), identity ids.
        index: int64 (N,), positions in the split.
        accuracies: float64 (F,), of each fold; see ``fold_accuracies``.
        threshold: The distance up to which a pair is accepted for ``tar`` and ``far``; nan if unknown.
        retrieval: How images are found among others.
    """

    first: Ids
    second: Ids
    same: Flags
    fold: Ids
    distance: Numbers
    far: Numbers
    tar: Numbers
    thresholds: Numbers
    embeddings: NDArray[np.float32]
    labels: Ids
    index: Ids
    accuracies: Numbers
    threshold: float
    retrieval: Retrieval

    def measures(self) -> dict[str, float]:
        """Measures by name, without those of which nothing can be said."""
        found = {**self._of_curve(), **self._of_threshold(), **vars(self.retrieval)}
        return {name: value for name, value in found.items() if not math.isnan(value)}

    def unresolved(self) -> str:
        """A note on measures at fewer false accepts than one pair; empty if there are none."""
        others = int((~self.same).sum())
        names = [_at(target) for target in TARGETS if 0 < others < 1 / target]
        if not names:
            return ""
        return (
            f"{', '.join(names)}: {others} pairs that do not match resolve no share of false accepts below "
            f"{1 / others:.3g}; what is reported are the true accepts that cost no false one"
        )

    def _of_curve(self) -> dict[str, float]:
        curve = Roc(far=self.far, tar=self.tar, thresholds=self.thresholds)
        at_targets = {_at(target): tar_at_far(curve, target) for target in TARGETS}
        return {"auc": area(curve), "eer": equal_error_rate(curve), **at_targets}

    def _of_threshold(self) -> dict[str, float]:
        if math.isnan(self.threshold):
            tar = far = accuracy = float("nan")
        else:
            tar, far = accepted(self.distance, self.same, threshold=self.threshold)
            accuracy = balanced_accuracy(self.distance, self.same, threshold=self.threshold)
        if len(self.accuracies):
            accuracy = float(self.accuracies.mean())
        error = standard_error(self.accuracies)
        return {"accuracy": accuracy, "accuracy_standard_error": error, "tar": tar, "far": far}


@torch.no_grad()
def measure(
    seen: Seen,
    *,
    embeddings: Tensor,
    pair_distances: Compare,
    distances: Compare,
    max_pairs: int,
    max_queries: int,
    threshold: float | None,
) -> Measured:
    """Measure a split.

    Args:
        seen: Its images.
        embeddings: The same (N, D) as in ``seen``, on the device where distances are computed.
        pair_distances: See ``distances_of``.
        distances: See ``retrieve``.
        max_pairs: See ``drawn``.
        max_queries: See ``retrieve``.
        threshold: The distance up to which a pair is accepted, nan if unknown; None: the best on this split.
    """
    pairs = pairs_of(seen, most=max_pairs)
    distance = distances_of(pairs, embeddings, pair_distances=pair_distances)
    curve = roc(distance, pairs.same)
    fold = _folds(pairs)
    return Measured(
        first=seen.index[pairs.first],
        second=seen.index[pairs.second],
        same=pairs.same,
        fold=fold,
        distance=distance,
        far=curve.far,
        tar=curve.tar,
        thresholds=curve.thresholds,
        embeddings=seen.embeddings,
        labels=seen.labels,
        index=seen.index,
        accuracies=fold_accuracies(distance, pairs.same, fold),
        threshold=_calibrated(distance, pairs.same) if threshold is None else threshold,
        retrieval=retrieve(embeddings, seen.labels, distances=distances, max_queries=max_queries),
    )


def _calibrated(distance: Numbers, same: Flags) -> float:
    """The best threshold as checkpoints keep it, in 32 bits: measured again it must judge the same."""
    return float(np.float32(best_threshold(distance, same)))


def _folds(pairs: ImagePairs) -> Ids:
    """Those of the data; dealt where they have none."""
    return pairs.fold if (pairs.fold != NO_FOLD).any() else deal_folds(pairs.same)


def _at(target: float) -> str:
    return f"tar_at_far_{target:g}"
