"""Find broken records among objects and their pictures, each with its place."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.arrays import IntArray
from datamodules.boxed_picture import BoolArray
from datamodules.images import MOST_ELONGATED, check_shape
from datamodules.readers.broken import find_broken
from datamodules.readers.objects import DoubleArray, RawObjects
from datamodules.readers.picture_sizes import picture_sizes
from datamodules.readers.problems import Place, Problem
from datamodules.sources import FileSource

OVERHANG = 1.0
"""Pixels that a box may reach out of its picture and is clipped without a word: tools disagree whether
the first pixel is 0 or 1 and the last one is inside, and nobody can tell such a box from a wrong one."""


@dataclass(frozen=True, kw_only=True)
class Care:
    """What is looked at besides the annotations themselves.

    Attributes:
        sizes: Whether the sizes that annotations say are compared with the headers of all pictures.
        decoding: Whether every picture is decoded once to find the broken ones.
        twice: Whether an object that is there before is a problem.
        masks: Whether segmentations are looked at, without drawing them.
    """

    sizes: bool
    decoding: bool
    twice: bool = True
    masks: bool = True


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is right and what is wrong.

    Attributes:
        problems: Everything that is wrong, also with records that are in no array.
        sizes: int64 (N, 2), height and width of the pictures; 0 where nobody knows.
        is_there: bool (N,), whether there is a file.
        is_good_picture: bool (N,).
        is_good_object: bool (M,); says nothing of its picture.
    """

    problems: list[Problem]
    sizes: IntArray
    is_there: BoolArray
    is_good_picture: BoolArray
    is_good_object: BoolArray


class _Notes:
    """Collects problems; every position that has one is not good."""

    def __init__(self, count: int, places: Callable[[Sequence[int]], list[Place]]) -> None:
        self.is_good = np.ones(count, dtype=np.bool_)
        self._places = places
        self._found: list[tuple[int, str]] = []

    def add(self, positions: Iterable[int], say: Callable[[int], str]) -> None:
        for position in positions:
            self.is_good[position] = False
            self._found.append((position, say(position)))

    def problems(self) -> list[Problem]:
        places = self._places([position for position, _ in self._found])
        return [Problem(place, text) for place, (_, text) in zip(places, self._found, strict=True)]


def check_objects(raw: RawObjects, *, care: Care, cache_dir: Path) -> Findings:
    """Look at every picture and every object.

    Args:
        raw: What was read.
        care: What is looked at besides the annotations.
        cache_dir: Folder to remember sizes and broken pictures in.
    """
    pictures = _Notes(len(raw.paths), raw.places.of_pictures)
    is_there = _is_there(raw)
    sizes = _check_pictures(raw, pictures, is_there, care=care, cache_dir=cache_dir)
    objects = _Notes(len(raw.labels), raw.places.of_objects)
    _check_boxes(raw, objects, sizes)
    if care.masks:
        _check_masks(raw, objects, sizes)
    if care.twice:
        _check_twice(raw, objects)
    return Findings(
        problems=[*raw.problems, *pictures.problems(), *objects.problems()],
        sizes=sizes,
        is_there=is_there,
        is_good_picture=pictures.is_good,
        is_good_object=objects.is_good,
    )


def known_sizes(raw: RawObjects, *, cache_dir: Path) -> IntArray:
    """Height and width from the headers of all pictures, int64 (N, 2); 0 where that fails."""
    return picture_sizes(FileSource(raw.root, raw.paths, advice=""), cache_dir=cache_dir)


def _check_pictures(
    raw: RawObjects, notes: _Notes, is_there: BoolArray, *, care: Care, cache_dir: Path
) -> IntArray:
    notes.add(_positions(~is_there), lambda i: f"there is no picture {raw.root / raw.paths[i]}")
    notes.add(_repeated(raw.paths), lambda i: f"the picture {raw.paths[i]} is listed before")
    sizes = raw.sizes
    if care.sizes or not np.all(raw.sizes > 0):
        measured = known_sizes(raw, cache_dir=cache_dir)
        is_said = np.all(raw.sizes > 0, axis=1)
        is_known = np.all(measured > 0, axis=1)
        unreadable = is_there & ~is_known
        # Decoding says more precisely what is wrong.
        if not care.decoding:
            notes.add(_positions(unreadable), lambda i: f"{raw.root / raw.paths[i]} is not a whole picture")
        differs = is_said & is_known & np.any(raw.sizes != measured, axis=1)
        notes.add(_positions(differs), lambda i: _other_size(raw.sizes[i], measured[i], raw.paths[i]))
        sizes = np.where(is_said[:, None], raw.sizes, measured)
    is_elongated = np.all(sizes > 0, axis=1) & (sizes.max(axis=1) > MOST_ELONGATED * sizes.min(axis=1))
    notes.add(_positions(is_elongated), lambda i: f"{raw.paths[i]} {check_shape(*sizes[i].tolist())}")
    if care.decoding:
        there = np.flatnonzero(is_there)
        source = FileSource(raw.root, [raw.paths[position] for position in there.tolist()], advice="")
        broken = find_broken(source, cache_dir=cache_dir)
        messages = {int(there[position]): message for position, message in broken.items()}
        notes.add(messages, lambda i: messages[i])
    return sizes


def _check_boxes(raw: RawObjects, notes: _Notes, sizes: IntArray) -> None:
    boxes = raw.boxes
    is_number = np.all(np.isfinite(boxes), axis=1)
    size = boxes[:, 2:] - boxes[:, :2]
    with np.errstate(invalid="ignore"):
        is_inverted = is_number & np.any(size < 0, axis=1)
        is_empty = is_number & ~is_inverted & np.any(size == 0, axis=1)
        reach = _reach(boxes, sizes[raw.pictures])
    is_known = np.all(sizes[raw.pictures] > 0, axis=1) & is_number & ~is_inverted & ~is_empty
    inside = clipped(boxes, sizes[raw.pictures])
    is_gone = np.any(inside[:, 2:] <= inside[:, :2], axis=1)
    notes.add(_positions(~is_number), lambda i: f"box {_written(boxes[i])} has a value that is no number")
    notes.add(_positions(is_inverted), lambda i: f"box {_written(boxes[i])} ends before it begins")
    notes.add(_positions(is_empty), lambda i: f"box {_written(boxes[i])} is empty")
    notes.add(
        _positions(is_known & (is_gone | (reach > OVERHANG))),
        lambda i: (
            f"box {_written(boxes[i])} reaches out of its picture of "
            f"{sizes[raw.pictures[i], 1]}x{sizes[raw.pictures[i], 0]} pixels"
        ),
    )


def _check_masks(raw: RawObjects, notes: _Notes, sizes: IntArray) -> None:
    """Of a box that is broken, that is said already; it also stands for a segmentation that is not there."""
    if raw.masks is None:
        return
    messages = raw.masks.problems(np.flatnonzero(notes.is_good), sizes[raw.pictures])
    notes.add(messages, lambda i: messages[i])


def _check_twice(raw: RawObjects, notes: _Notes) -> None:
    columns = [raw.pictures, raw.labels, *raw.boxes.T]
    order = np.lexsort(columns[::-1])  # stable: the first of equal objects stays the first
    rows = np.column_stack(columns)[order]
    is_same = np.all(rows[1:] == rows[:-1], axis=1)
    notes.add(
        np.sort(order[1:][is_same]).tolist(),
        lambda i: f"the object {raw.class_names[raw.labels[i]]} {_written(raw.boxes[i])} is there before",
    )


def clipped(boxes: DoubleArray, sizes: IntArray) -> DoubleArray:
    """Boxes (M, 4) within pictures of sizes (M, 2), height and width; a size of 0 does not clip."""
    limits = np.where(sizes > 0, sizes, np.inf)[:, [1, 0, 1, 0]]
    return np.asarray(np.clip(boxes, 0.0, limits), dtype=np.float64)


def _reach(boxes: DoubleArray, sizes: IntArray) -> DoubleArray:
    """(M,) pixels by which a box leaves its picture where it does so most; below 0 for none."""
    sides = np.concatenate([-boxes[:, :2], boxes[:, 2:] - sizes[:, ::-1]], axis=1)
    return np.asarray(sides.max(axis=1), dtype=np.float64)


def _is_there(raw: RawObjects) -> BoolArray:
    """One look into each folder: asking for every file takes minutes on a network's disk."""
    parts = [path.rpartition("/") for path in raw.paths]
    names = {folder: _names(raw.root / f"{folder}{slash}") for folder, slash, _ in parts}
    return np.array([name in names[folder] for folder, _, name in parts], dtype=np.bool_)


def _names(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except OSError:
        return frozenset()


def _positions(flags: BoolArray) -> list[int]:
    return [int(position) for position in np.flatnonzero(flags)]


def _repeated(paths: Sequence[str]) -> list[int]:
    known: set[str] = set()
    found = []
    for position, path in enumerate(paths):
        if path in known:
            found.append(position)
        known.add(path)
    return found


def _other_size(said: IntArray, measured: IntArray, path: str) -> str:
    hint = ""
    if said.tolist() == measured[::-1].tolist():
        hint = " (the picture is turned upright by its EXIF orientation, or the sides are exchanged)"
    return f"the annotation says {said[1]}x{said[0]} pixels, but {path} has {measured[1]}x{measured[0]}{hint}"


def _written(box: DoubleArray) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in box) + "]"
