"""Boxes in a CSV file with the columns path, x1, y1, x2, y2, label, and some more if wanted."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.readers.class_names import check_unique
from datamodules.readers.csv_rows import CsvRow, read_rows
from datamodules.readers.manifest import SPLIT_WORDS
from datamodules.readers.objects import ObjectRows, RawObjects

_CORNERS = ("x1", "y1", "x2", "y2")
_NEEDED = ("path", *_CORNERS, "label")
_OPTIONAL = ("split", "difficult", "crowd")
_FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


def list_boxes_csv(
    manifest: Path, *, data_dir: Path | None = None, class_names: Sequence[str] | None = None
) -> RawObjects:
    """Read a file with a line for each object.

    A line whose box and label are empty names a picture without objects. Corners are pixels; x2 and y2
    are exclusive.

    Args:
        manifest: UTF-8 CSV file with a header.
        data_dir: Folder the paths are relative to; None means that of the manifest.
        class_names: Names in the order of the class ids; None takes the labels that are found, in
            order of number if all are numbers, else of name.

    Raises:
        FileNotFoundError: If there is no such manifest.
        ValueError: If it is not UTF-8, columns are missing, or a class name stands twice.
    """
    check_unique(class_names or (), where="data.class_names")
    lines = read_rows(manifest, needed=_NEEDED, optional=_OPTIONAL)
    labels = {line.cells["label"] for line in lines if line.cells["label"]}
    numeric = all(label.isdecimal() for label in labels)
    names = sorted(labels, key=int if numeric else None) if class_names is None else list(class_names)
    rows = ObjectRows(manifest.parent if data_dir is None else data_dir)
    number = {name: label for label, name in enumerate(names)}
    pictures: dict[str, int] = {}
    for line in lines:
        try:
            _add(rows, line, pictures=pictures, number=number)
        except ValueError as error:
            rows.add_problem(line.place, str(error))
    return rows.to_raw(title=manifest.stem, class_names=names)


def _add(rows: ObjectRows, line: CsvRow, *, pictures: dict[str, int], number: dict[str, int]) -> None:
    cells = line.cells
    picture = _picture(rows, line, pictures)
    corners = [cells[name] for name in _CORNERS]
    if not any(corners) and not cells["label"]:
        return
    if cells["label"] not in number:
        raise ValueError(f"label {cells['label']!r} is none of {', '.join(list(number)[:20])}")
    try:
        x1, y1, x2, y2 = (float(corner) for corner in corners)
    except ValueError:
        raise ValueError(f"box {','.join(corners)!r} has a value that is no number") from None
    rows.add_object(
        (x1, y1, x2, y2),
        number[cells["label"]],
        picture=picture,
        place=line.place,
        is_difficult=_flag(cells, "difficult"),
        is_crowd=_flag(cells, "crowd"),
    )


def _picture(rows: ObjectRows, line: CsvRow, pictures: dict[str, int]) -> int:
    """Position of the picture of a line; that it is taken in at its first line is why places name that."""
    path, split = line.cells["path"], line.cells["split"]
    if not path:
        raise ValueError("no path")
    if split and split not in SPLIT_WORDS:
        raise ValueError(f"split {split!r} is none of {', '.join(SPLIT_WORDS)}")
    if path not in pictures:
        pictures[path] = rows.add_picture(path, group=split, place=line.place)
    known = rows.groups[pictures[path]]
    if known != split:
        raise ValueError(f"{path} has split {split!r} here, but {known!r} in a line before")
    return pictures[path]


def _flag(cells: dict[str, str], name: str) -> bool:
    found = _FLAGS.get(cells[name].lower())
    if found is None:
        raise ValueError(f"{name} {cells[name]!r} must be 0 or 1")
    return found
