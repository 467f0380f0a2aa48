"""Pairs of pictures as lists say them, before anything is read; `pairs_csv` and `lfw` end here."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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


def to_identified(
    listed: Listed, *, on_error: OnError, way_out: str, widen: Collection[str] = ()
) -> Identified:
    """Leave out broken files if asked for, and pairs of which a picture is not left in their split.

    Args:
        listed: Pictures and pairs.
        on_error: With ``skip`` every file is read once, and the result remembered beside the data;
            with ``raise`` a broken file is met when it is trained on.
        way_out: What to do about a split that has too little.
        widen: Splits of which each two pictures are a pair where the listed ones are of one kind.

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
    for split in widen:
        data = _widened(data, split, where=listed.where)
    return finished(data, where=str(listed.where), way_out=way_out)


def repeated(pairs: Sequence[ListedPair]) -> Iterator[Problem]:
    """Pairs of which all is said before; `once` leaves them out."""
    known: dict[tuple[object, ...], ListedPair] = {}
    for pair in pairs:
        before = known.setdefault(_content(pair), pair)
        if before is not pair and pair.first != pair.second:
            text = f"{pair.first} and {pair.second} are listed before, in line {before.place.line}"
            yield Problem(pair.place, text)


def once(pairs: Sequence[ListedPair], *, where: Path) -> list[ListedPair]:
    """Leave out pairs of which all is said before, and say how many.

    Args:
        pairs: Some may be there several times.
        where: Their file, for the message.
    """
    known: dict[tuple[object, ...], ListedPair] = {}
    for pair in pairs:
        known.setdefault(_content(pair), pair)
    if len(known) < len(pairs):
        lost = len(pairs) - len(known)
        log.warning("%d of %d pairs of %s left out, as they are listed before", lost, len(pairs), where)
    return list(known.values())


def impossible(pairs: Sequence[ListedPair]) -> Iterator[Problem]:
    """Pairs of a picture with itself, and pairs that are in two folds of their split."""
    known: dict[tuple[object, ...], ListedPair] = {}
    for pair in pairs:
        if pair.first == pair.second:
            yield Problem(pair.place, f"{pair.first} is paired with itself")
            continue
        before = known.setdefault((*sorted(pair.paths), pair.split), pair)
        if min(before.fold, pair.fold) >= 0 and before.fold != pair.fold:
            text = (
                f"{pair.first} and {pair.second} are in fold {pair.fold} here, but in fold {before.fold} in "
                f"line {before.place.line}"
            )
            yield Problem(pair.place, text)


def _content(pair: ListedPair) -> tuple[object, ...]:
    """All that a pair says; which picture comes first says nothing."""
    return (*sorted(pair.paths), pair.same, pair.split, pair.fold)


def paths_of(pairs: Sequence[ListedPair]) -> list[str]:
    """Every picture once, in order of path."""
    return sorted({path for pair in pairs for path in pair.paths})


def _widened(data: Identified, split: str, *, where: Path) -> Identified:
    """Make each two pictures of a split a pair if its listed ones are not of both kinds."""
    listed = data.num_pairs(split)
    if all(listed):
        return data
    wide = replace(data, pairs={**data.pairs, split: None})
    if all(wide.num_pairs(split)):
        log.warning(
            "%s in %s is measured over each two of its %d pictures, not over its listed pairs, as of these "
            "%d are matching and %d are not; pictures that no matching pairs link count as two identities; "
            "to choose what is compared, give the file a column split, or change data.split_seed",
            split,
            where,
            len(data.splits[split]),
            *listed,
        )
    return wide


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
