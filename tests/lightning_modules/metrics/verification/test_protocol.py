"""Accuracy by View 2 of LFW: by hand, and by another's loop."""

import math
from itertools import pairwise

import numpy as np
import pytest

from lightning_modules.metrics.verification.protocol import (
    balanced_accuracy,
    deal_folds,
    fold_accuracies,
    standard_error,
)
from tests.lightning_modules.metrics.verification.made import Flags, Numbers, distances


def test_accuracy_and_standard_error_by_hand() -> None:
    """Three folds with two matching and two other pairs each.

    Fold 0 is judged by folds 1 and 2, which are best separated between 0.45 and 0.48: all right, 1. Fold 1 by
    the same gap: 0.9 is taken for another, 3/4. Fold 2 by the gap from 0.4 to 0.6, so at 0.5: 0.48 is taken
    for the same, 3/4. Mean 5/6, deviation
    sqrt((1/36 + 1/144 + 1/144) / 2) = sqrt(1/48), divided by sqrt(3): 1/12.
    """
    table = [
        (0, True, 0.2), (0, True, 0.4), (0, False, 0.8), (0, False, 1.0),
        (1, True, 0.3), (1, True, 0.9), (1, False, 0.6), (1, False, 1.2),
        (2, True, 0.1), (2, True, 0.45), (2, False, 0.48), (2, False, 1.1),
    ]  # fmt: skip
    for shuffled in (table, table[::-1], table[5:] + table[:5]):
        fold, same, distance = (np.array(column) for column in zip(*shuffled, strict=True))
        accuracies = fold_accuracies(distance, same, fold)
        assert accuracies.tolist() == [1, 0.75, 0.75]
        assert accuracies.mean() == pytest.approx(5 / 6)
        assert standard_error(accuracies) == pytest.approx(1 / 12)


def slow_view_2(distance: Numbers, same: Flags, fold: Numbers) -> list[float]:
    """Try every threshold between two distances of nine folds, judge the tenth by the best one."""
    found = []
    for held_out in range(10):
        training = fold != held_out
        values = np.unique(distance[training])
        best, threshold, width = -1.0, 0.0, 0.0
        for low, high in pairwise(values):
            accuracy = float(((distance[training] <= low) == same[training]).mean())
            if accuracy > best or (accuracy == best and high - low > width):
                best, threshold, width = accuracy, (low + high) / 2, high - low
        found.append(float(((distance[~training] <= threshold) == same[~training]).mean()))
    return found


def test_accuracy_is_that_of_a_slow_loop_on_folds_like_those_of_lfw() -> None:
    distance, same = distances(matching=3_000, others=3_000)
    fold = np.empty(6_000, dtype=np.int64)
    fold[np.flatnonzero(same)] = np.arange(3_000) // 300
    fold[np.flatnonzero(~same)] = np.arange(3_000) // 300
    expected = slow_view_2(distance, same, fold)
    assert len(set(expected)) > 3
    assert fold_accuracies(distance, same, fold) == pytest.approx(expected, abs=1e-12)
    error = math.sqrt(sum((each - sum(expected) / 10) ** 2 for each in expected) / 9) / math.sqrt(10)
    assert standard_error(np.array(expected)) == pytest.approx(error)


def test_a_fold_does_not_choose_its_own_threshold() -> None:
    """The other fold is the wrong way round, so that there all or nothing is the best."""
    distance = np.array([0.1, 0.9, 0.9, 0.1])
    same = np.array([True, False, True, False])
    assert fold_accuracies(distance, same, np.array([0, 0, 1, 1])).tolist() == [0.5, 0]


def test_kinds_weigh_the_same_however_many_pairs_they_have() -> None:
    distance = np.array([0.1, 0.2, 0.9, 0.3, 0.8])
    same = np.array([True, False, False, False, False])
    assert balanced_accuracy(distance, same, threshold=0.25) == (1 + 3 / 4) / 2


def test_folds_with_one_kind_and_pairs_without_fold() -> None:
    distance = np.array([0.1, 0.9, 0.2, 0.8, 0.7, 0.05, 0.95])
    same = np.array([True, False, True, False, False, False, True])
    fold = np.array([0, 0, 1, 1, 2, -1, -1])
    assert fold_accuracies(distance, same, fold).tolist() == [1, 1]
    one = fold_accuracies(distance, same, np.zeros(7, dtype=np.int64))
    assert len(one) == 0
    assert math.isnan(standard_error(one))
    assert math.isnan(standard_error(np.array([0.9])))


def test_dealt_folds_have_as_many_of_both_kinds() -> None:
    _, same = distances(matching=47, others=203)
    fold = deal_folds(same)
    assert set(fold[same]) == set(fold[~same]) == set(range(10))
    for kind in (same, ~same):
        sizes = np.bincount(fold[kind])
        assert sizes.max() - sizes.min() <= 1
    assert (fold == deal_folds(same)).all()
    assert (fold[same] != np.arange(47) % 10).any()  # not in turn
    few = deal_folds(np.arange(20) < 3)
    assert set(few) == {0, 1, 2}
    assert set(deal_folds(np.ones(4, bool))) == {0}
