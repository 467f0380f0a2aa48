"""The records of a COCO file as typed structs, decoded quickly where all are right, one by one where not."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from datamodules.readers.json_lines import lines_of
from datamodules.readers.problems import Place, Problem

NO_SEGMENTATION = msgspec.Raw(b"")
T = TypeVar("T")


class Image(msgspec.Struct, gc=False):
    """A picture; sizes are in pixels, 0 where the file does not say."""

    id: int
    file_name: str
    height: int = 0
    width: int = 0


class Category(msgspec.Struct, gc=False):
    """A class."""

    id: int
    name: str


class Annotation(msgspec.Struct, gc=False):
    """An object; its box is x y width height in pixels, its segmentation stays JSON."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    id: int = -1
    area: float | None = None
    iscrowd: int | bool = 0
    segmentation: msgspec.Raw = NO_SEGMENTATION


class _Whole(msgspec.Struct, gc=False):
    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


@dataclass(frozen=True, kw_only=True)
class CocoFile:
    """What could be read of a file.

    Attributes:
        path: The file.
        images: Pictures.
        annotations: Objects.
        categories: Classes.
        image_numbers: Position in the file of each picture; None where all could be read.
        annotation_numbers: Position in the file of each object; None where all could be read.
        problems: Records that could not be read.
    """

    path: Path
    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]
    image_numbers: list[int] | None = None
    annotation_numbers: list[int] | None = None
    problems: tuple[Problem, ...] = ()


def read_coco(path: Path) -> CocoFile:
    """Read a file; records that are wrong in form are found one by one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, or lacks images, annotations or categories.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no annotation file {path} ({path.resolve()})")
    content = path.read_bytes()
    try:
        whole = msgspec.json.decode(content, type=_Whole)
    except (msgspec.DecodeError, UnicodeDecodeError):  # wrong records, NaN (no JSON, but written), no JSON
        return _read_each(path, content)
    return CocoFile(
        path=path, images=whole.images, annotations=whole.annotations, categories=whole.categories
    )


def places_in(path: Path, key: str, numbers: list[int]) -> list[Place]:
    """Places of records by their position in a list of the file.

    Args:
        path: The file.
        key: Name of the list.
        numbers: Positions in it.
    """
    if not numbers:
        return []
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    found = lines_of(text, key=key, numbers=set(numbers))
    return [
        Place(str(path), found[number].line, f"{key}[{number}]{_id(found[number].record)}")
        for number in numbers
    ]


def _id(record: Any) -> str:
    return f" (id {record['id']})" if isinstance(record, dict) and "id" in record else ""


def _read_each(path: Path, content: bytes) -> CocoFile:
    try:
        whole = json.loads(content)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: is no JSON ({error.msg}); is the file whole?") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no JSON ({error}); is it the right file?") from error
    wanted = ("images", "annotations", "categories")
    missing = [key for key in wanted if not isinstance(whole, dict) or not isinstance(whole.get(key), list)]
    if missing:
        raise ValueError(
            f"{path} lacks the lists {missing}, so it is not in COCO's form; it must be "
            '{"images": [...], "annotations": [...], "categories": [...]}'
        )
    problems: list[Problem] = []
    images, image_numbers = _converted(path, "images", whole["images"], Image, problems)
    categories, _ = _converted(path, "categories", whole["categories"], Category, problems)
    annotations, numbers = _converted(path, "annotations", whole["annotations"], Annotation, problems)
    return CocoFile(
        path=path,
        images=images,
        annotations=annotations,
        categories=categories,
        image_numbers=image_numbers,
        annotation_numbers=numbers,
        problems=tuple(problems),
    )


def _converted(
    path: Path, key: str, records: list[Any], kind: type[T], problems: list[Problem]
) -> tuple[list[T], list[int]]:
    found, numbers, wrong = [], [], {}
    for number, record in enumerate(records):
        try:
            found.append(msgspec.convert(_with_raw(record), kind))
            numbers.append(number)
        except msgspec.ValidationError as error:
            wrong[number] = str(error)
    places = places_in(path, key, list(wrong))
    problems += [Problem(place, text) for place, text in zip(places, wrong.values(), strict=True)]
    return found, numbers


def _with_raw(record: Any) -> Any:
    if not isinstance(record, dict) or "segmentation" not in record:
        return record
    return {**record, "segmentation": msgspec.Raw(msgspec.json.encode(record["segmentation"]))}
