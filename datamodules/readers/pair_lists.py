"""Pairs of pictures as lists say them, before anything is read; `pairs_csv` and `lfw` end here."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.arrays import IntArray
from datamodules.readers.identified import Identified, finished
from datamodules.readers.listing import OnError, readable_files
from datamodules.readers.problems import Place, Problem

log = logging.getLogger(__name__)


class ListedPair(NamedTuple):
    """Two pictures that are compared.

    Attributes:
        place: Where the pair stands.
        first: Relative path of one picture, with ``/``.
        second: That of the other.
        same: Whether both show the same identity.
        split: ``train``, ``val`` or ``test``; empty where it is still to be cut.
        fold: Fold of the protocol, at least 0, or -1.
    """

    place: Place
    first: str
    second: str
    same: bool
    split: str
    fold: int = -1

    @property
    def paths(self) -> tuple[str, str]:
        """Both paths."""
        return self.first, self.second


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Pictures and pairs, before any picture is read.

    Attributes:
        title: Name of the data set.
        root: Folder the paths are relative to.
        paths: N relative paths with ``/``.
        labels: int64 (N,), identity ids.
        identity_names: Names in the order of the ids.
        members: For each split the paths of its pictures; some may be in two.
        pairs: For each split its pairs, or None where each two pictures of it are one.
        where: The file or folder with the pairs, for messages.
        cache_dir: Folder to remember in what is broken.
    """

    title: str
    root: Path
    paths: Sequence[str]
    labels: IntArray
    identity_names: Sequence[str]
    members: Mapping[str, Collection[str]]
    pairs: Mapping[str, Sequence[ListedPair] | None]
    where: Path
    cache_dir: Path


def to_identified(listed: Listed, *, on_error: OnError, way_out: str) -> Identified:
    """Leave out broken files if asked for, and pairs of which a picture is not left in their split.

    Args:
        listed: Pictures and pairs.
        on_error: With ``skip`` every file is read once, and the result remembered beside the data;
            with ``raise`` a broken file is met when it is trained on.
        way_out: What to do about a split that has too little.

    Raises:
        ValueError: If a split has no pictures, no matching or no other pairs.
    """
    source, kept = readable_files(listed.root, listed.paths, on_error=on_error, cache_dir=listed.cache_dir)
    positions = {listed.paths[position]: number for number, position in enumerate(kept.tolist())}
    splits = {
        split: np.array(sorted(positions[path] for path in members if path in positions), dtype=np.int64)
        for split, members in listed.members.items()
    }
    rows = {
        split: None if pairs is None else _rows(pairs, positions=positions, members=splits[split])
        for split, pairs in listed.pairs.items()
    }
    data = Identified(
        title=listed.title,
        source=source,
        labels=listed.labels[kept],
        identity_names=listed.identity_names,
        splits=splits,
        pairs=rows,
        skipped=len(listed.paths) - len(kept),
    )
    return finished(data, where=str(listed.where), way_out=way_out)


def repeated(pairs: Sequence[ListedPair]) -> Iterator[Problem]:
    """Pairs of a picture with itself, and pairs that are listed before in their split."""
    known: dict[tuple[str, ...], Place] = {}
    for pair in pairs:
        if pair.first == pair.second:
            yield Problem(pair.place, f"{pair.first} is paired with itself")
            continue
        key = (*sorted(pair.paths), pair.split)
        before = known.setdefault(key, pair.place)
        if before is not pair.place:
            text = f"{pair.first} and {pair.second} are listed before, in line {before.line}"
            yield Problem(pair.place, text)


def paths_of(pairs: Sequence[ListedPair]) -> list[str]:
    """Every picture once, in order of path."""
    return sorted({path for pair in pairs for path in pair.paths})


def _rows(pairs: Sequence[ListedPair], *, positions: Mapping[str, int], members: IntArray) -> IntArray:
    """Pairs as an `Identified` has them, those with a picture that is not among the members left out."""
    stored = np.array([[positions.get(path, -1) for path in pair.paths] for pair in pairs], dtype=np.int64)
    told = np.array([[pair.same, pair.fold] for pair in pairs], dtype=np.int64)
    stored, told = stored.reshape(-1, 2), told.reshape(-1, 2)
    rows = np.concatenate([np.searchsorted(members, stored), told], axis=1)
    is_whole = np.isin(stored, members).all(axis=1)
    if not is_whole.all():
        log.warning(
            "%d of %d pairs left out, of which a picture cannot be read", np.sum(~is_whole), len(pairs)
        )
    return rows[is_whole].astype(np.int64)
