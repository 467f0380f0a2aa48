"""Accuracy by the protocol of Labeled Faces in the Wild: no pair is judged by a threshold that it chose."""

import numpy as np

from lightning_modules.metrics.verification.calibration import best_of_sorted
from lightning_modules.metrics.verification.pairs import NO_FOLD, SEED
from lightning_modules.metrics.verification.records import Ids
from lightning_modules.metrics.verification.roc import Flags, Numbers, accepted

FOLDS = 10


def deal_folds(same: Flags) -> Ids:
    """A fold in [0, 10) for each of P pairs, at random but always the same; each has as many of both kinds.

    There are fewer where one of the kinds has fewer pairs.

    Args:
        same: (P,), whether a pair matches.
    """
    generator = np.random.default_rng(SEED)
    count = max(1, min(FOLDS, int(same.sum()), int((~same).sum())))
    fold = np.empty(len(same), dtype=np.int64)
    for kind in (same, ~same):
        fold[generator.permutation(np.flatnonzero(kind))] = np.arange(kind.sum()) % count
    return fold


def fold_accuracies(distance: Numbers, same: Flags, fold: Ids) -> Numbers:
    """Accuracy in each fold with the threshold that is the best on all other folds, View 2 of LFW.

    Accuracy is the mean of the shares of matching and of other pairs that are judged rightly. The folds of
    LFW have as many of both, so that it is the share of all pairs (http://vis-www.cs.umass.edu/lfw/,
    Labeled Faces in the Wild: a database for studying face recognition in unconstrained environments, 4.1).

    Args:
        distance: (P,).
        same: (P,), whether a pair matches.
        fold: (P,); pairs of fold -1 do not take part.

    Returns:
        One number for each fold that has both kinds; none where fewer than two folds do.
    """
    order = np.argsort(distance, kind="stable")
    order = order[fold[order] != NO_FOLD]
    distance, same, fold = distance[order], same[order], fold[order]
    usable = np.intersect1d(fold[same], fold[~same])
    if len(usable) < 2:
        return np.empty(0)
    return np.array([_accuracy(distance, same, held_out=fold == each) for each in usable])


def standard_error(accuracies: Numbers) -> float:
    """Of the mean over F folds: their standard deviation, with F - 1 below the sum, divided by sqrt(F).

    So says the report on LFW. Toolkits that print "accuracy +- std" mean the deviation of the folds itself.
    nan of fewer than two folds.
    """
    if len(accuracies) < 2:
        return float("nan")
    return float(accuracies.std(ddof=1) / np.sqrt(len(accuracies)))


def balanced_accuracy(distance: Numbers, same: Flags, *, threshold: float) -> float:
    """Mean of the shares of matching and of other pairs that a threshold judges rightly, in [0, 1]."""
    tar, far = accepted(distance, same, threshold=threshold)
    return (tar + 1 - far) / 2


def _accuracy(distance: Numbers, same: Flags, *, held_out: Flags) -> float:
    threshold = best_of_sorted(distance[~held_out], same[~held_out])
    return balanced_accuracy(distance[held_out], same[held_out], threshold=threshold)
