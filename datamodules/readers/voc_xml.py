"""PASCAL VOC's XML files (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf)."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from datamodules.readers.class_names import check_unique
from datamodules.readers.objects import ObjectRows, RawObjects
from datamodules.readers.problems import Place, Problem

# fmt: off
VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on

_OBJECT = re.compile(r"<object[\s>]")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class VocFile(NamedTuple):
    """One annotation to read.

    Attributes:
        xml: The file.
        picture: Path of its picture, relative to the root of the data set.
        group: Split of the picture; empty to be cut.
        place: The line of the image set that names it, else the file itself.
    """

    xml: Path
    picture: str
    group: str
    place: Place


class _Object(NamedTuple):
    name: str
    corners: tuple[str, ...]  # as text: what is no number is said as it stands there
    is_difficult: bool
    place: Place


class _Annotation(NamedTuple):
    file: VocFile
    size: tuple[int, int]
    objects: list[_Object]


def list_voc(
    root: Path, files: Sequence[VocFile], *, title: str, class_names: Sequence[str] | None = None
) -> RawObjects:
    """Read annotations.

    Corners in the files count from 1 and the second one belongs to the box; so 1 is taken off the
    first corner and nothing off the second. Difficult objects are kept with their flag. Truncated ones
    are objects like others, as VOC trains and measures on them, too.

    Args:
        root: Folder the paths of the pictures are relative to.
        files: The annotations.
        title: Name of the data set.
        class_names: Names in the order of the class ids; None takes those that are found, sorted.

    Raises:
        ValueError: If a class name stands twice.
    """
    check_unique(class_names or (), where="data.class_names")
    rows = ObjectRows(root)
    annotations = []
    for file in files:
        found = _read(file)
        if isinstance(found, Problem):
            rows.problems.append(found)
        else:
            annotations.append(found)
    found_names = {item.name for annotation in annotations for item in annotation.objects if item.name}
    names = sorted(found_names) if class_names is None else list(class_names)
    number = {name: label for label, name in enumerate(names)}
    for annotation in annotations:
        _add(rows, annotation, number)
    return rows.to_raw(title=title, class_names=names)


def _read(file: VocFile) -> _Annotation | Problem:
    try:
        text = file.xml.read_text(encoding="utf-8-sig")
        tree = ElementTree.fromstring(text)
    except FileNotFoundError:
        return Problem(file.place, f"there is no annotation {file.xml}")
    except UnicodeDecodeError as error:
        return Problem(Place(str(file.xml), None, ""), f"is not UTF-8 ({error})")
    except ElementTree.ParseError as error:
        return Problem(Place(str(file.xml), error.position[0], ""), f"is no XML ({error})")
    lines = [text.count("\n", 0, match.start()) + 1 for match in _OBJECT.finditer(text)]
    nodes = tree.findall("object")
    if len(lines) != len(nodes):  # a comment, or objects deeper inside: no line is better than a wrong one
        lines = []
    objects = [
        _object(node, Place(str(file.xml), lines[i] if lines else None, f"object {i + 1}"))
        for i, node in enumerate(nodes)
    ]
    return _Annotation(file, _size(tree), objects)


def _object(node: ElementTree.Element, place: Place) -> _Object:
    corners = tuple(node.findtext(f"bndbox/{corner}", default="").strip() for corner in _CORNERS)
    is_difficult = node.findtext("difficult", default="0").strip() == "1"
    return _Object(node.findtext("name", default="").strip(), corners, is_difficult, place)


def _size(tree: ElementTree.Element) -> tuple[int, int]:
    """Height and width; (0, 0) where the file does not say, which some tools write, too."""
    try:
        height, width = (int(tree.findtext(f"size/{side}", default="0")) for side in ("height", "width"))
    except ValueError:
        return 0, 0
    return (height, width) if height > 0 and width > 0 else (0, 0)


def _add(rows: ObjectRows, annotation: _Annotation, number: dict[str, int]) -> None:
    file = annotation.file
    picture = rows.add_picture(file.picture, group=file.group, place=file.place, size=annotation.size)
    for item in annotation.objects:
        if item.name not in number:
            rows.add_problem(item.place, f"class {item.name!r} is none of {', '.join(list(number)[:20])}")
            continue
        try:
            x1, y1, x2, y2 = (float(corner) for corner in item.corners)
        except ValueError:
            given = ", ".join(f"{name}={value!r}" for name, value in zip(_CORNERS, item.corners, strict=True))
            rows.add_problem(item.place, f"box {given} has a value that is no number")
            continue
        rows.add_object(
            (x1 - 1, y1 - 1, x2, y2),
            number[item.name],
            picture=picture,
            place=item.place,
            is_difficult=item.is_difficult,
        )
