"""Pairs in a CSV file with the columns path_a, path_b, same and, if wanted, split and fold."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from datamodules.arrays import IntArray
from datamodules.readers.csv_rows import CsvRow, one_spelling, read_rows, roots_of
from datamodules.readers.identified import SPLITS, Identified
from datamodules.readers.identity_cut import cut_identities
from datamodules.readers.listing import Cut, OnError
from datamodules.readers.manifest import SPLIT_WORDS
from datamodules.readers.matches import contradictions, identities_of
from datamodules.readers.pair_lists import (
    Listed,
    ListedPair,
    impossible,
    once,
    paths_of,
    repeated,
    to_identified,
)
from datamodules.readers.problems import BrokenRecords, Problem

_NEEDED, _OPTIONAL = ("path_a", "path_b", "same"), ("split", "fold")
_SAME = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_FIX = (
    "correct them (data.on_error=skip leaves out only pairs that are listed before, and pictures that are "
    "not there, with their pairs)"
)
_MORE = "give it more pairs of both kinds"
_DEAL = (
    f"{_MORE}, give the file a column split, or change data.split_seed, data.val_fraction or "
    "data.test_fraction, by which its identities are dealt out"
)

log = logging.getLogger(__name__)


def read_pairs_csv(
    manifest: Path, *, data_dir: Path | None, cut: Cut, on_error: OnError, missing: OnError
) -> Identified:
    """Read a list of pairs; identities are what its matching pairs link.

    A split is said by every line or by none. Without one, identities are dealt out, and pairs of two
    identities that come into different splits are left out. Where this leaves validation or test pairs of one
    kind only, each two of its pictures are a pair.

    Args:
        manifest: UTF-8 CSV file with a header; ``same`` is 1 or 0, ``split`` train, val or test, ``fold`` a
            number from 0 for all pairs of a split or for none.
        data_dir: Folder the paths are relative to; None means that of the manifest.
        cut: For pairs without a split.
        on_error: With ``skip`` missing and broken pictures are left out with their pairs, for which every
            file is read once, and pairs that are listed before; with ``raise`` these are problems, and a
            broken picture is met when it is trained on.
        missing: With ``raise`` a missing picture is a problem, with ``skip`` it is left for later.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If lines are wrong or contradict each other (`BrokenRecords`); if a split has too little.
    """
    root = manifest.parent if data_dir is None else data_dir
    rows = read_rows(manifest, needed=_NEEDED, optional=_OPTIONAL)
    pairs = _checked(rows, root=root, manifest=manifest, on_error=on_error, missing=missing)
    paths = paths_of(pairs)
    labels = identities_of(pairs, paths)
    has_splits = bool(pairs[0].split)
    members = _said(pairs) if has_splits else _cut(paths, labels, cut)
    chosen = {
        split: [pair for pair in pairs if pair.split in ("", split) and set(pair.paths) <= members[split]]
        for split in SPLITS
    }
    _report(len(pairs) - sum(map(len, chosen.values())), len(pairs), manifest)
    listed = Listed(
        title=manifest.stem,
        root=root,
        paths=paths,
        labels=labels,
        identity_names=[paths[position] for position in np.unique(labels, return_index=True)[1].tolist()],
        members=members,
        pairs=chosen,
        where=manifest,
        cache_dir=root / ".cache",
    )
    if has_splits:
        return to_identified(listed, on_error=on_error, way_out=_MORE)
    return to_identified(listed, on_error=on_error, way_out=_DEAL, widen=("val", "test"))


def _checked(
    rows: Sequence[CsvRow], *, root: Path, manifest: Path, on_error: OnError, missing: OnError
) -> list[ListedPair]:
    wrong = [Problem(row.place, text) for row in rows for text in _wrong_cells(row)]
    if wrong:
        raise BrokenRecords(wrong, title=str(manifest), way_out=_FIX, skip_helps=False)
    roots = roots_of(root)
    pairs = [_pair(row, roots) for row in rows]
    if on_error == "skip":
        pairs = once(pairs, where=manifest)
    wrong = list(_wrong_pairs(pairs))
    spare = [*(_missing(pairs, root) if missing == "raise" else ()), *repeated(pairs)]
    if wrong or spare:
        raise BrokenRecords([*wrong, *spare], title=str(manifest), way_out=_FIX, skip_helps=not wrong)
    return pairs


def _wrong_pairs(pairs: Sequence[ListedPair]) -> Iterator[Problem]:
    """What must be corrected, as leaving out one of two lines would be a choice between them."""
    paths = paths_of(pairs)
    yield from impossible(pairs)
    yield from contradictions(pairs, paths, identities_of(pairs, paths))
    yield from _uneven(pairs)
    yield from _leaks(pairs)


def _wrong_cells(row: CsvRow) -> Iterator[str]:
    cells = row.cells
    for name in ("path_a", "path_b"):
        if not cells[name]:
            yield f"no {name}"
    if cells["same"].lower() not in _SAME:
        yield f"same {cells['same']!r} must be 1 or 0"
    if cells["split"] and cells["split"] not in SPLIT_WORDS:
        yield f"split {cells['split']!r} is none of {', '.join(SPLIT_WORDS)}"
    if cells["fold"] and not cells["fold"].isdecimal():
        yield f"fold {cells['fold']!r} must be a number from 0"


def _pair(row: CsvRow, roots: tuple[str, str]) -> ListedPair:
    cells = row.cells
    return ListedPair(
        place=row.place,
        first=one_spelling(cells["path_a"], roots=roots),
        second=one_spelling(cells["path_b"], roots=roots),
        same=_SAME[cells["same"].lower()],
        split=cells["split"],
        fold=int(cells["fold"] or -1),
    )


def _missing(pairs: Sequence[ListedPair], root: Path) -> Iterator[Problem]:
    is_there = {path: (root / path).is_file() for path in paths_of(pairs)}
    for pair in pairs:
        for path in pair.paths:
            if not is_there[path]:
                text = f"there is no picture {root / path}; correct the path or data.data_dir"
                yield Problem(pair.place, text)


def _uneven(pairs: Sequence[ListedPair]) -> Iterator[Problem]:
    """Lines without a split or fold, where others have one."""
    has_splits = any(pair.split for pair in pairs)
    folded = {pair.split for pair in pairs if pair.fold >= 0}
    for pair in pairs:
        if has_splits and not pair.split:
            yield Problem(pair.place, "no split, but other lines have one; give every line a split, or none")
        if pair.split in folded and pair.fold < 0:
            text = f"no fold, but other lines{' of ' + pair.split if pair.split else ''} have one"
            yield Problem(pair.place, text)


def _leaks(pairs: Sequence[ListedPair]) -> Iterator[Problem]:
    """Pictures that are trained on and measured; those for validation may test as well."""
    trained = {
        path: pair.place.line for pair in reversed(pairs) if pair.split == "train" for path in pair.paths
    }
    for pair in pairs:
        for path in pair.paths if pair.split in ("val", "test") else ():
            if path in trained:
                text = f"{path} is for {pair.split} here, but for train in line {trained[path]}"
                yield Problem(pair.place, text)


def _said(pairs: Sequence[ListedPair]) -> dict[str, set[str]]:
    """Pictures of the splits that the lines say."""
    return {split: {path for pair in pairs if pair.split == split for path in pair.paths} for split in SPLITS}


def _cut(paths: Sequence[str], labels: IntArray, cut: Cut) -> dict[str, set[str]]:
    """Pictures of the splits that identities are dealt out to."""
    nowhere = np.full(int(labels.max()) + 1, "", dtype="<U5")
    dealt = cut_identities(labels, nowhere, cut=cut)[labels].tolist()
    return {split: {path for path, own in zip(paths, dealt, strict=True) if own == split} for split in SPLITS}


def _report(lost: int, total: int, manifest: Path) -> None:
    if lost:
        log.warning(
            "%d of %d pairs of %s are left out, as their two identities came into different splits; to keep "
            "them, give the file a column split",
            lost,
            total,
            manifest,
        )
