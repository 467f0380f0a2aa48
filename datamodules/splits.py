"""Which pictures are for training, validation and test; every cut keeps the shares of the classes."""

from collections.abc import Sequence

import numpy as np

from datamodules.arrays import IntArray


def check_fractions(*, val: float, test: float) -> None:
    """Refuse shares that are none, or that leave nothing to train on.

    Args:
        val: ``data.val_fraction``.
        test: ``data.test_fraction``.

    Raises:
        ValueError: If one is not in [0, 1), or they are 1 together.
    """
    for name, value in (("val_fraction", val), ("test_fraction", test)):
        if not 0 <= value < 1:
            raise ValueError(f"data.{name}={value} must be in [0, 1)")
    if val + test >= 1:
        raise ValueError(
            f"data.val_fraction={val} and data.test_fraction={test} leave nothing to train on; together they "
            "must be below 1"
        )


def stratified_split(labels: IntArray, *, fractions: Sequence[float], seed: int) -> list[IntArray]:
    """Cut at random into parts that all have about the same share of each class.

    Args:
        labels: (N,) class ids.
        fractions: Share of each part; what they leave is the first part.
        seed: Decides the cut.

    Returns:
        Positions, sorted: the rest, then one array for each fraction.

    Raises:
        ValueError: If a fraction is not in [0, 1) or together they leave nothing.
    """
    if any(not 0 <= fraction < 1 for fraction in fractions) or sum(fractions) >= 1:
        raise ValueError(f"fractions {list(fractions)} must be in [0, 1) and leave something to train on")
    generator = np.random.default_rng(seed)
    classes = [generator.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    rest = np.concatenate([np.empty(0, dtype=np.int64), *classes])
    parts, left = [], 1.0
    for fraction in fractions:
        # Even steps through the classes one after the other: a class too small for a picture of its
        # own lends its share to the next.
        chosen = np.diff(np.floor(np.arange(len(rest) + 1) * (fraction / left) + 0.5)) > 0
        parts.append(np.sort(rest[chosen]))
        rest, left = rest[~chosen], left - fraction
    return [np.sort(rest), *parts]


def stratified_folds(labels: IntArray, *, num_folds: int, seed: int | None) -> IntArray:
    """Deal out items to folds so that all folds have about the same share of each class.

    Args:
        labels: (N,) class ids.
        num_folds: Number of folds, at least 2.
        seed: Shuffles each class first; with None each fold takes one contiguous block of each class
            in the given order, which keeps neighbours together.

    Returns:
        (N,) fold of each item, in [0, num_folds).

    Raises:
        ValueError: If there are fewer than 2 folds or fewer items than folds.
    """
    if not 2 <= num_folds <= len(labels):
        raise ValueError(f"data.num_folds={num_folds} is not in [2, {len(labels)}], the number of pictures")
    generator = np.random.default_rng(seed)
    folds = np.empty(len(labels), dtype=np.int64)
    first = 0
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if seed is not None:
            members = generator.permutation(members)
        sizes = np.full(num_folds, len(members) // num_folds)
        # Those left over go to the folds that were last short, so that the folds stay equal in size.
        sizes[(first + np.arange(len(members) % num_folds)) % num_folds] += 1
        first = (first + len(members)) % num_folds
        folds[members] = np.repeat(np.arange(num_folds), sizes)
    return folds
