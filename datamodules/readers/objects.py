"""Objects as annotation files say them, before anything is checked; every format ends here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from datamodules.arrays import IntArray
from datamodules.boxed_picture import BoolArray
from datamodules.readers.masks import PackedMasks
from datamodules.readers.problems import Place, Problem

DoubleArray = npt.NDArray[np.float64]


class Places(Protocol):
    """Where records stand; looked up for the broken ones only."""

    def of_pictures(self, positions: Sequence[int]) -> list[Place]:
        """Places of some pictures."""

    def of_objects(self, positions: Sequence[int]) -> list[Place]:
        """Places of some objects."""


@dataclass(frozen=True, kw_only=True)
class RawObjects:
    """N pictures and M objects as they were read.

    Attributes:
        title: Name of the data set.
        root: Folder the paths are relative to.
        paths: N relative paths with ``/``.
        groups: N split names; empty where the split is still to be cut.
        image_ids: int64 (N,), ids of the pictures in their file.
        sizes: int64 (N, 2), height and width as the annotations say; 0 where they do not.
        pictures: int64 (M,), position of the picture of each object.
        boxes: float64 (M, 4), x1 y1 x2 y2 in pixels; x2 and y2 are exclusive.
        labels: int64 (M,), class ids in [0, C).
        areas: float64 (M,), in pixels; not a number where the annotations do not say.
        is_crowd: bool (M,).
        is_difficult: bool (M,).
        class_names: C names in the order of the class ids.
        category_ids: C ids that the files use.
        places: Where the records stand.
        masks: Of the M objects; None where there are none.
        problems: Records that could not even be read; they are in no array.
    """

    title: str
    root: Path
    paths: Sequence[str]
    groups: Sequence[str]
    image_ids: IntArray
    sizes: IntArray
    pictures: IntArray
    boxes: DoubleArray
    labels: IntArray
    areas: DoubleArray
    is_crowd: BoolArray
    is_difficult: BoolArray
    class_names: Sequence[str]
    category_ids: Sequence[int]
    places: Places
    masks: PackedMasks | None = None
    problems: Sequence[Problem] = ()


@dataclass
class ObjectRows:
    """Collects pictures and objects one by one, for the formats that are read line by line."""

    root: Path
    paths: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    picture_places: list[Place] = field(default_factory=list)
    pictures: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    is_crowd: list[bool] = field(default_factory=list)
    is_difficult: list[bool] = field(default_factory=list)
    object_places: list[Place] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add_picture(self, path: str, *, group: str, place: Place, size: tuple[int, int] = (0, 0)) -> int:
        """Take in a picture and return its position."""
        self.paths.append(path)
        self.groups.append(group)
        self.sizes.append(size)
        self.picture_places.append(place)
        return len(self.paths) - 1

    def add_object(
        self,
        box: tuple[float, float, float, float],
        label: int,
        *,
        picture: int,
        place: Place,
        is_crowd: bool = False,
        is_difficult: bool = False,
    ) -> None:
        """Take in an object of a picture."""
        self.pictures.append(picture)
        self.boxes.append(box)
        self.labels.append(label)
        self.is_crowd.append(is_crowd)
        self.is_difficult.append(is_difficult)
        self.object_places.append(place)

    def add_problem(self, place: Place, problem: str) -> None:
        """Remember a record that cannot be taken in."""
        self.problems.append(Problem(place, problem))

    def to_raw(self, *, title: str, class_names: Sequence[str]) -> RawObjects:
        """Everything in arrays; class ids are also the ids of the categories."""
        return RawObjects(
            title=title,
            root=self.root,
            paths=self.paths,
            groups=self.groups,
            image_ids=np.arange(len(self.paths)),
            sizes=np.array(self.sizes, dtype=np.int64).reshape(-1, 2),
            pictures=np.array(self.pictures, dtype=np.int64),
            boxes=np.array(self.boxes, dtype=np.float64).reshape(-1, 4),
            labels=np.array(self.labels, dtype=np.int64),
            areas=np.full(len(self.labels), np.nan),
            is_crowd=np.array(self.is_crowd, dtype=np.bool_),
            is_difficult=np.array(self.is_difficult, dtype=np.bool_),
            class_names=class_names,
            category_ids=range(len(class_names)),
            places=ListedPlaces(self.picture_places, self.object_places),
            problems=self.problems,
        )


@dataclass(frozen=True)
class ListedPlaces:
    """Places that are known while reading.

    Attributes:
        pictures: N places.
        objects: M places.
    """

    pictures: Sequence[Place]
    objects: Sequence[Place]

    def of_pictures(self, positions: Sequence[int]) -> list[Place]:
        """Places of some pictures."""
        return [self.pictures[position] for position in positions]

    def of_objects(self, positions: Sequence[int]) -> list[Place]:
        """Places of some objects."""
        return [self.objects[position] for position in positions]


def in_pixels(raw: RawObjects, sizes: IntArray) -> RawObjects:
    """Boxes from shares of the sides of their pictures to pixels.

    Args:
        raw: Objects with boxes in [0, 1].
        sizes: int64 (N, 2), height and width; 0 where a picture cannot be read, whose boxes stay.
    """
    scale = np.maximum(sizes, 1)[raw.pictures][:, [1, 0, 1, 0]]
    return replace(raw, boxes=raw.boxes * scale, sizes=sizes)


@dataclass(frozen=True)
class _JoinedPlaces:
    """Places in several files, one after the other.

    Attributes:
        parts: Places in each file.
        num_pictures: Pictures of each file.
        num_objects: Objects of each file.
    """

    parts: Sequence[Places]
    num_pictures: Sequence[int]
    num_objects: Sequence[int]

    def of_pictures(self, positions: Sequence[int]) -> list[Place]:
        """Places of some pictures, in the given order."""
        return _asked([part.of_pictures for part in self.parts], self.num_pictures, positions)

    def of_objects(self, positions: Sequence[int]) -> list[Place]:
        """Places of some objects, in the given order."""
        return _asked([part.of_objects for part in self.parts], self.num_objects, positions)


def _asked(
    parts: Sequence[Callable[[Sequence[int]], list[Place]]], sizes: Sequence[int], positions: Sequence[int]
) -> list[Place]:
    found: dict[int, Place] = {}
    start = 0
    for part, size in zip(parts, sizes, strict=True):
        here = [position for position in positions if start <= position < start + size]
        found |= dict(zip(here, part([position - start for position in here]), strict=True))
        start += size
    return [found[position] for position in positions]


def joined(parts: Sequence[RawObjects]) -> RawObjects:
    """Data sets of the same root and the same classes as one; masks only where all have them."""
    if len(parts) == 1:
        return parts[0]
    first, num_pictures = parts[0], [len(part.paths) for part in parts]
    shifts = np.cumsum([0, *num_pictures[:-1]])
    masks = [part.masks for part in parts if part.masks is not None]
    return replace(
        first,
        paths=[path for part in parts for path in part.paths],
        groups=[group for part in parts for group in part.groups],
        image_ids=np.concatenate([part.image_ids for part in parts]),
        sizes=np.concatenate([part.sizes for part in parts]),
        pictures=np.concatenate([part.pictures + shift for part, shift in zip(parts, shifts, strict=True)]),
        boxes=np.concatenate([part.boxes for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        areas=np.concatenate([part.areas for part in parts]),
        is_crowd=np.concatenate([part.is_crowd for part in parts]),
        is_difficult=np.concatenate([part.is_difficult for part in parts]),
        places=_JoinedPlaces(
            [part.places for part in parts], num_pictures, [len(part.labels) for part in parts]
        ),
        masks=reduce(PackedMasks.joined, masks) if len(masks) == len(parts) else None,
        problems=[problem for part in parts for problem in part.problems],
    )
