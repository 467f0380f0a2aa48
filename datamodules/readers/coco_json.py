"""COCO's annotation files (https://cocodataset.org/#format-data)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from datamodules.arrays import IntArray
from datamodules.boxed_picture import BoolArray
from datamodules.readers.coco_records import Annotation, CocoFile, places_in, read_coco
from datamodules.readers.masks import PackedMasks, pack
from datamodules.readers.objects import DoubleArray, RawObjects, joined
from datamodules.readers.problems import Place, Problem

_LONGEST_NOTHING = b"null"  # also [] and [[]]


@dataclass(frozen=True, kw_only=True)
class CocoPart:
    """One annotation file.

    Attributes:
        annotations: The JSON file.
        images_dir: Folder its file names are relative to.
        group: Split of its pictures; empty to be cut.
    """

    annotations: Path
    images_dir: Path
    group: str


@dataclass(frozen=True)
class CocoPlaces:
    """Where the records of one file stand.

    Attributes:
        path: The file.
        images: (N,) positions of the pictures in the list of the file.
        annotations: (M,) positions of the objects in the list of the file.
    """

    path: Path
    images: IntArray
    annotations: IntArray

    def of_pictures(self, positions: Sequence[int]) -> list[Place]:
        """Places of some pictures."""
        return places_in(self.path, "images", [int(self.images[position]) for position in positions])

    def of_objects(self, positions: Sequence[int]) -> list[Place]:
        """Places of some objects."""
        return places_in(
            self.path, "annotations", [int(self.annotations[position]) for position in positions]
        )


def list_coco(
    parts: Sequence[CocoPart], *, root: Path, title: str, keep_category_ids: bool = False
) -> RawObjects:
    """Read annotation files of one data set.

    Args:
        parts: The files; a category may be missing in some of them.
        root: Folder the paths come to be relative to.
        title: Name of the data set.
        keep_category_ids: The class id is the category id - 1, and gaps are classes named ``N/A 12``
            that have no objects: the published form of COCO, which published weights fit. Else class
            ids count the categories in order of their id.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a file is no JSON, or not of this form, or the files contradict each other.
    """
    categories: dict[int, str] = {}
    found = []
    for part in parts:
        file = read_coco(part.annotations)
        _add_categories(categories, file)
        found.append(_to_raw(file, part, root=root, title=title))
    return _with_classes(joined(found), categories, keep_category_ids=keep_category_ids)


def _add_categories(known: dict[int, str], file: CocoFile) -> None:
    for category in file.categories:
        if known.setdefault(category.id, category.name) != category.name:
            raise ValueError(
                f"{file.path}: category {category.id} is {category.name!r} here, but "
                f"{known[category.id]!r} before; an id must mean the same everywhere"
            )


def _to_raw(file: CocoFile, part: CocoPart, *, root: Path, title: str) -> RawObjects:
    """One file in arrays; labels are still the ids of the categories."""
    all_ids = np.array([image.id for image in file.images], dtype=np.int64)
    first = np.sort(np.unique(all_ids, return_index=True)[1])
    images, ids = [file.images[position] for position in first.tolist()], all_ids[first]
    sizes = np.array([(image.height, image.width) for image in images], dtype=np.int64).reshape(-1, 2)
    boxes, image_ids, category_ids, areas, is_crowd = _columns(file.annotations)
    places = _places(file)
    is_known = np.isin(category_ids, [category.id for category in file.categories])
    pictures = _positions_of(image_ids, ids)
    problems = [
        *file.problems,
        *_twice(all_ids, first, places),
        *_unknown(pictures < 0, image_ids, places, "image_id {} is that of no image"),
        *_unknown(~is_known, category_ids, places, "category_id {} is that of no category"),
    ]
    kept = np.flatnonzero(is_known & (pictures >= 0))
    folder = Path(os.path.relpath(part.images_dir, root))
    return RawObjects(
        title=title,
        root=root,
        paths=[(folder / image.file_name).as_posix() for image in images],
        groups=[part.group] * len(ids),
        image_ids=ids,
        sizes=np.maximum(sizes, 0),
        pictures=pictures[kept],
        boxes=boxes[kept],
        labels=category_ids[kept],
        areas=areas[kept],
        is_crowd=is_crowd[kept],
        is_difficult=np.zeros(len(kept), dtype=np.bool_),
        class_names=(),
        category_ids=(),
        places=replace(places, images=places.images[first], annotations=places.annotations[kept]),
        masks=_masks(file.annotations, kept),
        problems=problems,
    )


def _columns(
    records: Sequence[Annotation],
) -> tuple[DoubleArray, IntArray, IntArray, DoubleArray, BoolArray]:
    count = len(records)
    numbers = np.fromiter((value for record in records for value in record.bbox), np.float64, 4 * count)
    boxes = numbers.reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    areas = (np.nan if record.area is None else record.area for record in records)
    return (
        boxes,
        np.fromiter((record.image_id for record in records), np.int64, count),
        np.fromiter((record.category_id for record in records), np.int64, count),
        np.fromiter(areas, np.float64, count),
        np.fromiter((bool(record.iscrowd) for record in records), np.bool_, count),
    )


def _places(file: CocoFile) -> CocoPlaces:
    images = range(len(file.images)) if file.image_numbers is None else file.image_numbers
    numbers = range(len(file.annotations)) if file.annotation_numbers is None else file.annotation_numbers
    return CocoPlaces(file.path, np.array(images, dtype=np.int64), np.array(numbers, dtype=np.int64))


def _positions_of(wanted: IntArray, ids: IntArray) -> IntArray:
    """Position of each wanted id, -1 where there is none; of ids that stand twice the first."""
    if not len(ids):
        return np.full(len(wanted), -1)
    order = np.argsort(ids, kind="stable")
    at = np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)
    return np.where(ids[order][at] == wanted, order[at], -1)


def _twice(ids: IntArray, first: IntArray, places: CocoPlaces) -> list[Problem]:
    repeated = np.setdiff1d(np.arange(len(ids)), first).tolist()
    found = places.of_pictures(repeated)
    return [
        Problem(place, f"id {ids[i]} is that of an image before")
        for i, place in zip(repeated, found, strict=True)
    ]


def _unknown(is_unknown: BoolArray, ids: IntArray, places: CocoPlaces, text: str) -> list[Problem]:
    positions = np.flatnonzero(is_unknown).tolist()
    found = places.of_objects(positions)
    return [Problem(place, text.format(ids[i])) for i, place in zip(positions, found, strict=True)]


def _masks(records: Sequence[Annotation], kept: IntArray) -> PackedMasks | None:
    """None where no object has a segmentation; an object without one has its box for it."""
    sizes = np.fromiter((len(memoryview(record.segmentation)) for record in records), np.int64, len(records))
    is_said = sizes[kept] > len(_LONGEST_NOTHING)
    if not np.any(is_said):
        return None
    chosen = [records[position] for position in kept.tolist()]
    return pack(
        [
            record.segmentation if said else msgspec.Raw(_of_box(record))
            for record, said in zip(chosen, is_said.tolist(), strict=True)
        ]
    )


def _of_box(record: Annotation) -> bytes:
    x, y, width, height = record.bbox
    return msgspec.json.encode([[x, y, x + width, y, x + width, y + height, x, y + height]])


def _with_classes(raw: RawObjects, categories: dict[int, str], *, keep_category_ids: bool) -> RawObjects:
    ids = sorted(categories)
    if keep_category_ids:
        if ids and ids[0] < 1:
            raise ValueError(
                f"{raw.title}: category {ids[0]} cannot be kept, as class ids are the category ids - 1; "
                "set data.keep_category_ids=false"
            )
        ids = list(range(1, max(ids, default=0) + 1))
    names = [categories.get(number, f"N/A {number}") for number in ids]
    labels = np.searchsorted(np.array(ids, dtype=np.int64), raw.labels)
    return replace(raw, labels=labels, class_names=_unlike(names, ids), category_ids=ids)


def _unlike(names: Sequence[str], ids: Sequence[int]) -> list[str]:
    """Names with the id behind those that stand more than once."""
    return [
        f"{name} {number}" if names.count(name) > 1 else name for name, number in zip(names, ids, strict=True)
    ]
