"""Cuts: disjoint, complete, stratified; folds against scikit-learn's."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from datamodules.splits import stratified_folds, stratified_split

LABELS = np.random.default_rng(0).choice(4, size=203, p=[0.5, 0.3, 0.15, 0.05]).astype(np.int64)


def test_a_cut_is_disjoint_complete_and_keeps_the_shares() -> None:
    parts = stratified_split(LABELS, fractions=[0.2, 0.1], seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(203))
    for part, share in zip(parts, (0.7, 0.2, 0.1), strict=True):
        for label in range(4):
            wanted = share * np.sum(label == LABELS)
            assert abs(np.sum(LABELS[part] == label) - wanted) < 1.5


def test_small_classes_share_a_part() -> None:
    rest, part = stratified_split(np.arange(40) // 2, fractions=[0.1], seed=0)
    assert (len(rest), len(part)) == (36, 4)


def test_a_cut_depends_on_its_seed_only() -> None:
    first, again, other = (stratified_split(LABELS, fractions=[0.5], seed=seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_nothing_to_cut_gives_empty_parts() -> None:
    parts = stratified_split(np.empty(0, dtype=np.int64), fractions=[0.2], seed=0)
    assert [len(part) for part in parts] == [0, 0]


@pytest.mark.parametrize("fractions", [[0.5, 0.5], [-0.1], [1.0]])
def test_a_cut_must_leave_something(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match="must be in \\[0, 1\\) and leave something to train on"):
        stratified_split(LABELS, fractions=fractions, seed=0)


@pytest.mark.parametrize("seed", [None, 0])
def test_folds_have_equal_sizes_and_shares(seed: int | None) -> None:
    folds = stratified_folds(LABELS, num_folds=5, seed=seed)
    assert sorted(np.bincount(folds).tolist()) == [40, 40, 41, 41, 41]
    for label in range(4):
        counts = np.bincount(folds[label == LABELS], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_small_classes_fill_the_folds_evenly() -> None:
    folds = stratified_folds(np.repeat(np.arange(5), 3), num_folds=5, seed=None)
    assert np.bincount(folds).tolist() == [3, 3, 3, 3, 3]


def test_folds_without_a_seed_are_contiguous_as_in_scikit_learn() -> None:
    labels = np.repeat(np.arange(4), 25)[np.random.default_rng(1).permutation(100)]
    ours = stratified_folds(labels, num_folds=5, seed=None)
    theirs = np.empty(100, dtype=np.int64)
    for fold, (_, held_out) in enumerate(StratifiedKFold(5, shuffle=False).split(labels, labels)):
        theirs[held_out] = fold
    assert np.array_equal(ours, theirs)


def test_folds_with_a_seed_are_shuffled() -> None:
    assert not np.array_equal(
        stratified_folds(LABELS, num_folds=5, seed=None), stratified_folds(LABELS, num_folds=5, seed=0)
    )


@pytest.mark.parametrize("num_folds", [1, 204])
def test_folds_out_of_range_are_refused(num_folds: int) -> None:
    with pytest.raises(ValueError, match=rf"data\.num_folds={num_folds} is not in \[2, 203\]"):
        stratified_folds(LABELS, num_folds=num_folds, seed=0)
