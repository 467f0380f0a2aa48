"""Rows of a CSV file with a header, each with the line it stands in."""

import csv
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.readers.problems import Place


class CsvRow(NamedTuple):
    """One row; its cells by the name of the column, without spaces around them."""

    place: Place
    cells: dict[str, str]


def read_rows(path: Path, *, needed: Sequence[str], optional: Sequence[str]) -> list[CsvRow]:
    """Read a file that ``data.manifest`` names.

    Args:
        path: UTF-8 CSV file with a header.
        needed: Columns that must be there.
        optional: Columns that may be there; their cells are empty where they are not.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8, columns are missing, or it has no rows.
    """
    if not path.is_file():
        raise FileNotFoundError(f"data.manifest={path} ({path.resolve()}) is no file; set it to the CSV file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_header(path, reader.fieldnames or (), needed=needed, optional=optional)
            rows = [
                CsvRow(
                    Place(str(path), reader.line_num, ""),
                    {name: (cells.get(name) or "").strip() for name in (*needed, *optional)},
                )
                for cells in reader
            ]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from error
    if not rows:
        raise ValueError(f"{path} names no pictures")
    return rows


def roots_of(root: Path) -> tuple[str, str]:
    """The folder that paths are relative to, as it is named and without links; both end in ``/``."""
    named, real = posixpath.normpath(root.absolute()), root.resolve()
    return posixpath.join(named, ""), posixpath.join(real, "")


def one_spelling(path: str, *, roots: tuple[str, str]) -> str:
    """Spell a path as every cell that names the same picture does: ``a.png`` also where it is ``./a.png``.

    Args:
        path: Relative to the root, or absolute; empty stays empty.
        roots: See `roots_of`.

    Returns:
        A path relative to the root, without ``.`` and ``//``; one outside of the root stays absolute, or
        begins with ``..``.
    """
    if not path:
        return path
    whole = "/" + posixpath.normpath(posixpath.join(roots[1], path)).lstrip("/")  # "//a" is "/a"
    root = next((root for root in roots if whole.startswith(root)), None)
    if root is not None:
        return whole.removeprefix(root)
    return whole if posixpath.isabs(path) else posixpath.normpath(path)


def _check_header(
    path: Path, header: Sequence[str], *, needed: Sequence[str], optional: Sequence[str]
) -> None:
    missing = [name for name in needed if name not in header]
    if missing:
        raise ValueError(
            f"{path}:1: the columns {missing} are missing; the first line must name {', '.join(needed)} and, "
            f"if wanted, {', '.join(optional)}, but reads {','.join(header)!r}"
        )
