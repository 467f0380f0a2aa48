"""Pictures named in a CSV file with the columns path, label and, if wanted, split."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.readers.listing import Listing, OnError
from datamodules.readers.problems import BrokenRecords, Place, Problem

SPLIT_WORDS = ("train", "val", "test")
_WAY_OUT = "correct them (data.on_error=skip leaves out pictures that are not there)"


class Row(NamedTuple):
    """One line of a manifest; the line number is for messages."""

    line: int
    path: str
    label: str
    split: str


def list_manifest(
    manifest: Path, *, data_dir: Path | None, class_names: Sequence[str] | None, on_error: OnError
) -> Listing:
    """Read a manifest and check every line of it.

    Args:
        manifest: UTF-8 CSV file with a header; the column ``split`` says train, val or test, and the
            split of a line is cut later where it is empty or the column is missing.
        data_dir: Folder the paths are relative to; None means that of the manifest.
        class_names: Names in the order of the class ids; None takes the labels that are found, in
            order of number if all are numbers, else of name.
        on_error: With ``raise`` a missing picture is a problem, with ``skip`` it is left for later.

    Raises:
        FileNotFoundError: If there is no such manifest.
        ValueError: If lines are wrong (`BrokenRecords`); names file and line.
    """
    root = manifest.parent if data_dir is None else data_dir
    rows = _read(manifest)
    names = _class_names(rows) if class_names is None else list(class_names)
    problems = [
        Problem(Place(str(manifest), row.line, ""), text)
        for row in rows
        for text in _problems(row, root, names, on_error)
    ]
    if problems:
        raise BrokenRecords(problems, title=str(manifest), way_out=_WAY_OUT)
    number = {name: index for index, name in enumerate(names)}
    return Listing(
        title=manifest.stem,
        root=root,
        class_names=names,
        paths=[row.path for row in rows],
        labels=[number[row.label] for row in rows],
        groups=[row.split for row in rows],
    )


def _read(manifest: Path) -> list[Row]:
    if not manifest.is_file():
        raise FileNotFoundError(
            f"data.manifest={manifest} ({manifest.resolve()}) is no file; set it to the CSV file"
        )
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"path", "label"} - set(reader.fieldnames or ())
            if missing:
                raise ValueError(
                    f"{manifest}:1: the columns {sorted(missing)} are missing; the first line must name "
                    f"path, label and, if wanted, split, but reads {','.join(reader.fieldnames or ())!r}"
                )
            rows = [_row(reader.line_num, cells) for cells in reader]
    except UnicodeDecodeError as error:
        raise ValueError(f"{manifest} is not UTF-8 ({error}); save it as UTF-8") from error
    if not rows:
        raise ValueError(f"{manifest} names no pictures")
    return rows


def _row(line: int, cells: dict[str, str | None]) -> Row:
    values = {name: (cells.get(name) or "").strip() for name in ("path", "label", "split")}
    return Row(line, values["path"], values["label"], values["split"])


def _class_names(rows: Sequence[Row]) -> list[str]:
    found = {row.label for row in rows if row.label}
    if all(label.isdecimal() for label in found):
        return sorted(found, key=int)
    return sorted(found)


def _problems(row: Row, root: Path, names: Sequence[str], on_error: OnError) -> list[str]:
    found = []
    if not row.path:
        found.append("no path")
    elif on_error == "raise" and not (root / row.path).is_file():
        found.append(
            f"there is no picture {root / row.path}; correct the path or data.data_dir, or set "
            "data.on_error=skip to leave it out"
        )
    if not row.label:
        found.append("no label")
    elif row.label not in names:
        found.append(f"label {row.label!r} is not in data.class_names ({', '.join(names[:20])})")
    if row.split and row.split not in SPLIT_WORDS:
        found.append(f"split {row.split!r} is none of {', '.join(SPLIT_WORDS)}")
    return found
