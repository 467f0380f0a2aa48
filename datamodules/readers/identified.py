"""What every reader of verification data hands over: pictures of identities, and pairs of them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from datamodules.arrays import IntArray
from datamodules.sources import ImageSource


@dataclass(frozen=True, kw_only=True)
class Identified:
    """Pictures with one identity each, which of them are for what, and pairs where they are listed.

    Attributes:
        title: Name of the data set.
        source: N pictures.
        labels: int64 (N,), identity ids; those of the training split are [0, C) for its C identities.
        identity_names: Names in the order of the ids.
        splits: Positions for ``train``, ``val`` and ``test``.
        pairs: For each split int64 (P, 4): positions in the split of both pictures, 1 where they show the
            same identity and else 0, and fold of the protocol, at least 0, or -1 where there are no folds.
            None where no pairs are listed: each two pictures of the split are one.
        skipped: Pictures that were left out because they could not be read.
    """

    title: str
    source: ImageSource
    labels: IntArray
    identity_names: Sequence[str]
    splits: Mapping[str, IntArray]
    pairs: Mapping[str, IntArray | None]
    skipped: int = 0

    def counts(self, split: str) -> IntArray:
        """Numbers of pictures of the identities that a split has, each at least 1."""
        return np.unique(self.labels[self.splits[split]], return_counts=True)[1].astype(np.int64)

    def num_pairs(self, split: str) -> tuple[int, int]:
        """Matching and other pairs of a split: those that are listed, else each two pictures."""
        pairs = self.pairs[split]
        if pairs is not None:
            matches = int(pairs[:, 2].sum())
            return matches, len(pairs) - matches
        counts, size = self.counts(split), len(self.splits[split])
        matches = int(np.sum(counts * (counts - 1) // 2))
        return matches, size * (size - 1) // 2 - matches

    def digest(self) -> str:
        """Sha256 over pictures, identities and listed pairs, in hex; see the source for what it reads."""
        found = hashlib.sha256(self.source.digest().encode())
        found.update(self.labels.tobytes())
        found.update("\n".join(self.identity_names).encode())
        for pairs in self.pairs.values():
            found.update(b"" if pairs is None else pairs.tobytes())
        return found.hexdigest()


SPLITS = ("train", "val", "test")
NO_PAIRS: Mapping[str, IntArray | None] = {"train": None, "val": None, "test": None}
"""No pairs are listed, in any split."""


def finished(data: Identified, *, where: str, way_out: str) -> Identified:
    """Number the identities so that those of training come first, and refuse splits that are of no use.

    Args:
        data: Identities in any numbering; names may be without pictures.
        where: What the data were found in, for messages.
        way_out: What to do about a split that has too little.

    Raises:
        ValueError: If a split has no pictures, no matching or no other pairs.
    """
    for split, positions in data.splits.items():
        if not len(positions):
            raise ValueError(f"no pictures for {split} in {where}; {way_out}")
    for split in data.splits:
        _check_pairs(data, split, where=where, way_out=way_out)
    used = np.unique(data.labels)
    trained = np.unique(data.labels[data.splits["train"]])
    order = np.concatenate([trained, np.setdiff1d(used, trained)])
    number = np.full(len(data.identity_names), -1, dtype=np.int64)
    number[order] = np.arange(len(order))
    names = [data.identity_names[label] for label in order.tolist()]
    return replace(data, labels=number[data.labels], identity_names=names)


def _check_pairs(data: Identified, split: str, *, where: str, way_out: str) -> None:
    matches, others = data.num_pairs(split)
    listed = data.pairs[split] is not None
    if not matches:
        lack = (
            "no listed pair shows one identity"
            if listed
            else f"each of the {len(data.splits[split])} pictures is the only one of its identity"
        )
    elif not others:
        lack = "no listed pair shows two identities" if listed else "all pictures show one identity"
    else:
        return
    raise ValueError(
        f"{split} in {where}: {lack}, so that alike and not alike cannot be told apart; {way_out}"
    )
