"""Pictures named in a CSV file with the columns path, label and, if wanted, split."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.readers.csv_rows import one_spelling, read_rows, roots_of
from datamodules.readers.listing import Listing, OnError
from datamodules.readers.problems import BrokenRecords, Place, Problem

SPLIT_WORDS = ("train", "val", "test")
_WAY_OUT = "correct them (data.on_error=skip leaves out pictures that are not there)"


class Row(NamedTuple):
    """One line of a manifest; its place is for messages."""

    place: Place
    path: str
    label: str
    split: str


def list_manifest(
    manifest: Path,
    *,
    data_dir: Path | None,
    class_names: Sequence[str] | None,
    on_error: OnError,
    column: str = "label",
    unique: bool = False,
) -> Listing:
    """Read a manifest and check every line of it.

    Args:
        manifest: UTF-8 CSV file with a header; the column ``split`` says train, val or test, and the
            split of a line is cut later where it is empty or the column is missing.
        data_dir: Folder the paths are relative to; None means that of the manifest.
        class_names: Names in the order of the class ids; None takes the labels that are found, in
            order of number if all are numbers, else of name.
        on_error: With ``raise`` a missing picture is a problem, with ``skip`` it is left for later.
        column: Name of the column with the labels.
        unique: Whether a picture that stands in two lines is a problem.

    Raises:
        FileNotFoundError: If there is no such manifest.
        ValueError: If lines are wrong (`BrokenRecords`); names file and line.
    """
    root = manifest.parent if data_dir is None else data_dir
    rows = _rows(manifest, column, root)
    names = _class_names(rows) if class_names is None else list(class_names)
    number = {name: index for index, name in enumerate(names)}
    problems = [
        Problem(row.place, text) for row in rows for text in _problems(row, root, number, on_error, column)
    ]
    if unique:
        problems += _repeated(rows)
    if problems:
        raise BrokenRecords(problems, title=str(manifest), way_out=_WAY_OUT)
    return Listing(
        title=manifest.stem,
        root=root,
        class_names=names,
        paths=[row.path for row in rows],
        labels=[number[row.label] for row in rows],
        groups=[row.split for row in rows],
    )


def _rows(manifest: Path, column: str, root: Path) -> list[Row]:
    roots = roots_of(root)
    return [
        Row(row.place, one_spelling(row.cells["path"], roots=roots), row.cells[column], row.cells["split"])
        for row in read_rows(manifest, needed=("path", column), optional=("split",))
    ]


def _class_names(rows: Sequence[Row]) -> list[str]:
    found = {row.label for row in rows if row.label}
    if all(label.isdecimal() for label in found):
        return sorted(found, key=int)
    return sorted(found)


def _repeated(rows: Sequence[Row]) -> Iterator[Problem]:
    known: dict[str, Row] = {}
    for row in rows:
        first = known.setdefault(row.path, row)
        if row.path and first is not row:
            text = f"{row.path} is listed before, in line {first.place.line}, as {first.label!r}"
            yield Problem(row.place, text)


def _problems(row: Row, root: Path, number: Mapping[str, int], on_error: OnError, column: str) -> list[str]:
    found = []
    if not row.path:
        found.append("no path")
    elif on_error == "raise" and not (root / row.path).is_file():
        found.append(
            f"there is no picture {root / row.path}; correct the path or data.data_dir, or set "
            "data.on_error=skip to leave it out"
        )
    if not row.label:
        found.append(f"no {column}")
    elif row.label not in number:
        found.append(f"{column} {row.label!r} is not in data.class_names ({', '.join(list(number)[:20])})")
    if row.split and row.split not in SPLIT_WORDS:
        found.append(f"split {row.split!r} is none of {', '.join(SPLIT_WORDS)}")
    return found
