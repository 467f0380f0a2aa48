"""From a list of labelled files to checked splits; shared by folders and manifests."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from datamodules.arrays import IntArray
from datamodules.readers.broken import find_broken
from datamodules.readers.labelled import Labelled
from datamodules.sources import FileSource
from datamodules.splits import stratified_split

OnError = Literal["raise", "skip"]
ADVICE = "remove it, or set data.on_error=skip to leave out what cannot be read"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Files with labels, before anything is read.

    Attributes:
        title: Name of the data set.
        root: Folder the paths are relative to.
        class_names: C names in the order of the class ids.
        paths: N relative paths with ``/``.
        labels: N class ids.
        groups: N split names; empty where the split is still to be cut.
    """

    title: str
    root: Path
    class_names: Sequence[str]
    paths: Sequence[str]
    labels: Sequence[int]
    groups: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How files without a split are dealt out: at random, by class.

    Attributes:
        val: Share for validation.
        test: Share for test.
        seed: Decides which files.
    """

    val: float
    test: float
    seed: int


def check_on_error(on_error: str) -> None:
    """Refuse any other value than ``raise`` and ``skip``."""
    if on_error not in ("raise", "skip"):
        raise ValueError(f"data.on_error={on_error} must be raise or skip")


def to_labelled(listing: Listing, *, cut: Cut, on_error: OnError, test_is_val: bool = False) -> Labelled:
    """Leave out broken files if asked for, and cut what has no split yet.

    Args:
        listing: The files.
        cut: For the files without a split.
        on_error: With ``skip`` every file is read once, and the result remembered beside the data;
            with ``raise`` a broken file is met when it is trained on.
        test_is_val: Tests on the pictures for validation.

    Raises:
        ValueError: If a split is empty, or a class has nothing to train on.
    """
    source, kept = readable_files(
        listing.root, listing.paths, on_error=on_error, cache_dir=listing.root / ".cache"
    )
    labels = np.asarray(listing.labels, dtype=np.int64)[kept]
    splits = _cut(labels, np.asarray(listing.groups)[kept], cut)
    found = Labelled(
        title=listing.title,
        source=source,
        labels=labels,
        class_names=listing.class_names,
        splits=splits | {"test": splits["val"]} if test_is_val else splits,
        skipped=len(listing.paths) - len(kept),
    )
    _check_splits(found, listing.root)
    return found


def readable_files(
    root: Path, paths: Sequence[str], *, on_error: OnError, cache_dir: Path
) -> tuple[FileSource, IntArray]:
    """Leave out broken files if asked for, and say how many.

    Args:
        root: Folder the paths are relative to.
        paths: N relative paths with ``/``.
        on_error: As for `to_labelled`.
        cache_dir: Folder to remember in what is broken.

    Returns:
        The files that are left, and their positions among the paths.
    """
    source = FileSource(root, paths, advice=ADVICE)
    kept = np.arange(len(source))
    if on_error == "raise":
        return source, kept
    broken = find_broken(source, cache_dir=cache_dir)
    if not broken:
        return source, kept
    first = next(iter(broken.values()))
    log.warning("%d of %d files under %s left out, such as: %s", len(broken), len(source), root, first)
    kept = np.setdiff1d(kept, sorted(broken))
    return FileSource(root, [paths[position] for position in kept.tolist()], advice=ADVICE), kept


def _cut(
    labels: IntArray, groups: np.ndarray[tuple[int], np.dtype[np.str_]], cut: Cut
) -> dict[str, IntArray]:
    free = np.flatnonzero(groups == "")
    parts = stratified_split(labels[free], fractions=[cut.val, cut.test], seed=cut.seed)
    return {
        split: np.union1d(np.flatnonzero(groups == split), free[part])
        for split, part in zip(("train", "val", "test"), parts, strict=True)
    }


def _check_splits(found: Labelled, root: Path) -> None:
    for split, positions in found.splits.items():
        if not len(positions):
            raise ValueError(
                f"no pictures for {split} under {root}; give it some, or raise data.val_fraction "
                "or data.test_fraction"
            )
    untrained = [
        name for name, count in zip(found.class_names, found.counts("train"), strict=True) if not count
    ]
    if untrained:
        raise ValueError(
            f"no pictures to train on under {root} for the classes {untrained[:5]}; add some or remove them"
        )
