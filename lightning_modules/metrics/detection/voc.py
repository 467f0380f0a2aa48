"""PASCAL VOC's average precision at IoU 0.5 (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.detection.overlaps import overlaps
from lightning_modules.metrics.detection.records import Judged

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEAST_IOU = 0.5


def voc_precisions(judged: Sequence[Judged], *, num_classes: int) -> tuple[Floats, Floats]:
    """Average precision of each class as VOC measured it until 2009 and since 2010.

    Detections of all images are gone through from the highest score down; each belongs to the object of
    its class that it overlaps most. It is right if the IoU is at least 0.5 and the object was not found
    before; a second detection of an object is wrong. One that belongs to a difficult object (or to a
    crowd, which VOC does not know) is neither right nor wrong, and nobody has to find such an object.

    VOC's files count pixels inclusively, so the devkit adds 1 to every width. Boxes here have exclusive
    ends, the 1 was added when the files were read, and widths are plain differences: the same numbers.

    Args:
        judged: Images, each once.
        num_classes: C.

    Returns:
        (C,) by VOC07's eleven points and (C,) by the area since VOC10, in [0, 1]; NaN for a class
        that has no object to find.
    """
    belongs = _assigned(judged)
    by_points, by_area = np.full(num_classes, np.nan), np.full(num_classes, np.nan)
    for label, wanted in enumerate(_objects_to_find(judged, num_classes).tolist()):
        if wanted:
            right, counted = _right(belongs, label)
            hits, seen = np.cumsum(right, dtype=np.int64), np.cumsum(counted, dtype=np.int64)
            by_points[label] = eleven_points(hits, seen, wanted)
            by_area[label] = area(hits, seen, wanted)
    return by_points, by_area


def eleven_points(hits: Integers, seen: Integers, wanted: int) -> float:
    """VOC07: mean over the recalls 0, 0.1, … 1 of the best precision at that recall or above.

    Args:
        hits: (N,) right detections among the first, second, … N-th.
        seen: (N,) detections among them that are right or wrong.
        wanted: Objects to find, at least 1.
    """
    precision = hits / np.maximum(seen, 1)
    # Whole numbers: as fractions, 3 / 10 is less than 3 * 0.1, and a point would be lost.
    reached = [precision[10 * hits >= tenths * wanted] for tenths in range(11)]
    return float(np.mean([points.max(initial=0.0) for points in reached]))


def area(hits: Integers, seen: Integers, wanted: int) -> float:
    """VOC10 and later: area under precision by recall, where precision is the best at that recall or above.

    Args:
        hits: (N,) right detections among the first, second, … N-th.
        seen: (N,) detections among them that are right or wrong.
        wanted: Objects to find, at least 1.
    """
    precision = hits / np.maximum(seen, 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(hits, prepend=0) / wanted
    return float(np.sum(steps * envelope))


def mean_of_known(values: Floats) -> float:
    """Mean over the classes that have objects; -1 where none has, as in COCO's measures."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else -1.0


@dataclass(frozen=True, kw_only=True)
class _Belongs:
    """All D detections of all images, best score first, and the objects that they belong to.

    Attributes:
        label: (D,) class ids.
        number: (D,) object that is overlapped most, counted over all images; -1 for none.
        ignored: (D,) whether that object is difficult or a crowd.
    """

    label: Integers
    number: Integers
    ignored: NDArray[np.bool_]


def _assigned(judged: Sequence[Judged]) -> _Belongs:
    numbers, ignored, before = [], [], 0
    for one in judged:
        number, flag = _assigned_in(one)
        numbers.append(np.where(number >= 0, number + before, -1))
        ignored.append(flag)
        before += len(one.true_labels)
    scores = np.concatenate([np.empty(0), *(one.scores for one in judged)])
    labels = np.concatenate([np.empty(0, dtype=np.int64), *(one.labels for one in judged)])
    order = np.argsort(-scores, kind="stable")
    everyone = np.concatenate([np.empty(0, dtype=np.int64), *numbers])
    flags = np.concatenate([np.empty(0, dtype=bool), *ignored])
    return _Belongs(label=labels[order], number=everyone[order], ignored=flags[order])


def _assigned_in(one: Judged) -> tuple[Integers, NDArray[np.bool_]]:
    if not len(one.true_labels) or not len(one.labels):
        return np.full(len(one.labels), -1), np.zeros(len(one.labels), dtype=bool)
    shared = overlaps(one.boxes, one.true_boxes)
    shared[one.labels[:, None] != one.true_labels] = -1
    most = shared.argmax(axis=1)
    enough = shared[np.arange(len(most)), most] >= LEAST_IOU
    ignored = (one.is_difficult | one.is_crowd)[most]
    return np.where(enough, most, -1), enough & ignored


def _right(belongs: _Belongs, label: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of the detections of a class, best first: whether each is right, and whether it is right or wrong."""
    chosen = belongs.label == label
    number, ignored = belongs.number[chosen], belongs.ignored[chosen]
    first = np.zeros(len(number), dtype=bool)
    first[np.unique(number, return_index=True)[1]] = True
    return first & (number >= 0) & ~ignored, ~ignored


def _objects_to_find(judged: Sequence[Judged], num_classes: int) -> Integers:
    """(C,) objects that are neither difficult nor a crowd."""
    found = [one.true_labels[~one.is_difficult & ~one.is_crowd] for one in judged]
    return np.bincount(np.concatenate([np.empty(0, dtype=np.int64), *found]), minlength=num_classes)
