"""YOLO's text files: for each picture one with a line ``class cx cy w h`` for each object, in [0, 1]."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from datamodules.images import IMAGE_ENDINGS
from datamodules.readers.class_names import check_unique
from datamodules.readers.object_checks import known_sizes
from datamodules.readers.objects import ObjectRows, RawObjects, in_pixels
from datamodules.readers.problems import Place

_SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_SETTINGS = ("data.yaml", "data.yml", "dataset.yaml")


def list_yolo(root: Path) -> RawObjects:
    """Read ``root/images/<split>/`` with ``root/labels/<split>/*.txt``.

    ``root/<split>/images/`` with ``root/<split>/labels/`` is read, too, and so are ``images`` and
    ``labels`` without splits. A picture without a text file has no objects. Class names are those of
    ``data.yaml`` (``names``, a list or by number), or the lines of ``classes.txt``. Of two pictures that
    differ in their ending only, the second is a problem: nobody can tell whose objects the text has.

    Args:
        root: The folder.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is laid out in another way, names no classes, or one twice.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"data.data_dir={root} ({root.resolve()}) is no folder; set it to the one with images and labels"
        )
    names = _class_names(root)
    rows = ObjectRows(root)
    folders = list(_folders(root))
    if not folders:
        raise ValueError(f"data.data_dir={root} has neither images/ nor train/images/")
    for images, labels, group in folders:
        _add_folder(rows, images, labels, group=group, names=names)
    raw = rows.to_raw(title=root.resolve().name, class_names=names)
    return in_pixels(raw, known_sizes(raw, cache_dir=root / ".cache"))


def _folders(root: Path) -> Iterator[tuple[Path, Path, str]]:
    """Pictures, labels and split of each pair of folders."""
    inside = [name for name in _SPLIT_FOLDERS if (root / "images" / name).is_dir()]
    outside = [name for name in _SPLIT_FOLDERS if (root / name / "images").is_dir()]
    for name in inside:
        yield root / "images" / name, root / "labels" / name, _SPLIT_FOLDERS[name]
    for name in outside:
        yield root / name / "images", root / name / "labels", _SPLIT_FOLDERS[name]
    if not inside and (root / "images").is_dir():
        yield root / "images", root / "labels", ""


def _add_folder(rows: ObjectRows, images: Path, labels: Path, *, group: str, names: list[str]) -> None:
    pictures = _files(rows, images, IMAGE_ENDINGS)
    texts = _files(rows, labels, frozenset({".txt"}))
    for key, path in pictures.items():
        place = Place(str(path), None, "")
        picture = rows.add_picture(path.relative_to(rows.root).as_posix(), group=group, place=place)
        if key in texts:
            _add_lines(rows, texts[key], picture=picture, names=names)
    for key in sorted(set(texts) - set(pictures) - {"classes"}):
        rows.add_problem(Place(str(texts[key]), None, ""), f"there is no picture {images / key}.*")


def _files(rows: ObjectRows, folder: Path, endings: frozenset[str]) -> dict[str, Path]:
    """Files below a folder by their path in it without ending, in order of path; of twins the first."""
    found: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in endings:
                path = Path(parent, name)
                first = found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
                if first != path:
                    rows.add_problem(
                        Place(str(path), None, ""),
                        f"differs from {first.name} in its ending only, so that nobody knows which one the "
                        "objects belong to; rename or remove one of them",
                    )
    return found


def _add_lines(rows: ObjectRows, path: Path, *, picture: int, names: list[str]) -> None:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        rows.add_problem(Place(str(path), None, ""), f"is not UTF-8 ({error})")
        return
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = Place(str(path), number, "")
        try:
            label, box = _parsed(line, names)
        except ValueError as error:
            rows.add_problem(place, str(error))
        else:
            rows.add_object(box, label, picture=picture, place=place)


def _parsed(line: str, names: list[str]) -> tuple[int, tuple[float, float, float, float]]:
    words = line.split()
    if len(words) != 5:
        raise ValueError(f"has {len(words)} values, but a box needs the five class cx cy w h")
    try:
        number = float(words[0])  # some tools write 3.0
    except ValueError:
        number = -1.0
    if not number.is_integer() or not 0 <= number < len(names):
        raise ValueError(f"class {words[0]!r} is none of 0 to {len(names) - 1} ({', '.join(names[:20])})")
    try:
        x, y, width, height = (float(word) for word in words[1:])
    except ValueError:
        raise ValueError(f"box {' '.join(words[1:])!r} has a value that is no number") from None
    return int(number), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _class_names(root: Path) -> list[str]:
    for name in _SETTINGS:
        if (root / name).is_file():
            return _from_settings(root / name)
    for path in (root / "classes.txt", root / "labels" / "classes.txt"):
        if path.is_file():
            return _from_lines(path)
    raise ValueError(
        f"{root} names no classes; write them into data.yaml as names: [...], or into classes.txt"
    )


def _from_lines(path: Path) -> list[str]:
    names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if not names:
        raise ValueError(f"{path} names no classes; write a name into each of its lines")
    check_unique(names, where=str(path))
    return names


def _from_settings(path: Path) -> list[str]:
    try:
        whole = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML ({error})") from error
    names: Any = whole.get("names") if isinstance(whole, dict) else None
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise ValueError(f"{path} has names={names!r}, but needs a list, or a name for each of 0, 1, 2, ...")
    found = [str(name) for name in names]
    check_unique(found, where=str(path))
    return found
