"""Which identities are for training, validation and test, and listings of them as checked data."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from datamodules.arrays import IntArray
from datamodules.readers.identified import NO_PAIRS, SPLITS, Identified, finished
from datamodules.readers.listing import Cut, Listing, OnError, readable_files
from datamodules.splits import stratified_split

SplitBy = Literal["identities", "pictures"]

_SHOWN = 5  # identities that a message names
_WAY_OUT = (
    "give it more identities with two pictures or more, or change data.val_fraction or data.test_fraction"
)


def check_split_by(split_by: str) -> None:
    """Refuse any other value than ``identities`` and ``pictures``."""
    if split_by not in ("identities", "pictures"):
        raise ValueError(f"data.split_by={split_by} must be identities or pictures")


def to_identified(listing: Listing, *, cut: Cut, split_by: SplitBy, on_error: OnError) -> Identified:
    """Leave out broken files if asked for, and cut what has no split yet.

    Args:
        listing: The files; their classes are identities.
        cut: For what has no split.
        split_by: With ``identities`` those of validation and test are strangers to training; with
            ``pictures`` each is in all splits, with other pictures.
        on_error: With ``skip`` every file is read once, and the result remembered beside the data;
            with ``raise`` a broken file is met when it is trained on.

    Raises:
        ValueError: If a split has no pictures or no pairs, or an identity is in two splits but must not.
    """
    source, kept = readable_files(
        listing.root, listing.paths, on_error=on_error, cache_dir=listing.root / ".cache"
    )
    labels = np.asarray(listing.labels, dtype=np.int64)[kept]
    groups = np.asarray(listing.groups)[kept]
    if split_by == "identities":
        groups = cut_identities(labels, whole_groups(labels, groups, listing), cut=cut)[labels]
    else:
        groups = _cut_pictures(labels, groups, cut=cut)
    data = Identified(
        title=listing.title,
        source=source,
        labels=labels,
        identity_names=listing.class_names,
        splits={split: np.flatnonzero(groups == split) for split in SPLITS},
        pairs=NO_PAIRS,
        skipped=len(listing.paths) - len(kept),
    )
    return finished(data, where=str(listing.root), way_out=_WAY_OUT)


def whole_groups(labels: IntArray, groups: npt.NDArray[np.str_], listing: Listing) -> npt.NDArray[np.str_]:
    """The split of each identity; empty where its pictures have none.

    Args:
        labels: (N,) identity ids.
        groups: (N,) splits of the pictures; empty where there is none.
        listing: Where they come from, for the message.

    Raises:
        ValueError: If pictures of an identity are in several splits.
    """
    found = np.full(len(listing.class_names), "", dtype="<U5")
    known, torn = np.empty(0, dtype=np.int64), set()
    for split in ("", *SPLITS):
        members = np.unique(labels[groups == split])
        torn |= set(np.intersect1d(members, known).tolist())
        found[members] = split
        known = np.union1d(known, members)
    if torn:
        names = [listing.class_names[label] for label in sorted(torn)]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise ValueError(
            f"the identities {names[:_SHOWN]}{more} of {listing.root} are in more than one split, but who "
            "was trained on is no stranger; give all their pictures one split, or set data.split_by=pictures "
            "to test on new pictures of known identities"
        )
    return found


def cut_identities(labels: IntArray, found: npt.NDArray[np.str_], *, cut: Cut) -> npt.NDArray[np.str_]:
    """Deal out the identities that have no split yet.

    Those with one picture, which make no matching pair, are dealt out by themselves, so that every split has
    about the same share of them.

    Args:
        labels: (N,) identity ids in [0, C).
        found: (C,) split of each identity; empty where it has none.
        cut: The shares.

    Returns:
        (C,) split of each identity.
    """
    free = np.flatnonzero(found == "")
    counts = np.bincount(labels, minlength=len(found))
    parts = stratified_split(np.minimum(counts[free], 2), fractions=[cut.val, cut.test], seed=cut.seed)
    dealt = found.copy()
    for split, part in zip(SPLITS, parts, strict=True):
        dealt[free[part]] = split
    return dealt


def _cut_pictures(labels: IntArray, groups: npt.NDArray[np.str_], *, cut: Cut) -> npt.NDArray[np.str_]:
    free = np.flatnonzero(groups == "")
    parts = stratified_split(labels[free], fractions=[cut.val, cut.test], seed=cut.seed)
    dealt = groups.astype("<U5")
    for split, part in zip(SPLITS, parts, strict=True):
        dealt[free[part]] = split
    return dealt
