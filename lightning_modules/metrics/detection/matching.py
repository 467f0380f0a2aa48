"""Which detection found which object, at IoU 0.5: the ground of curves, thresholds and kinds of errors."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.detection.overlaps import covered, overlaps
from lightning_modules.metrics.detection.records import Judged

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEAST_IOU = 0.5
"""Above this a detection of the right class is where the object is."""

MOST_DETECTIONS = 100
"""Of each class in an image; COCO leaves out the rest."""


@dataclass(frozen=True, kw_only=True)
class Matches:
    """D detections of all images, best score first, and the objects to which they belong.

    Detections that only meet a crowd or a difficult object are not among them: they are neither right
    nor wrong. Objects are numbered over all images.

    Attributes:
        image: (D,) place of its image among the images.
        place: (D,) its place among the detections of the image.
        score: (D,) in [0, 1].
        label: (D,) class ids.
        match: (D,) object that the detection found; -1 for a wrong one.
        same_iou: (D,) largest IoU with an object of its class, found or not; 0 without any.
        same: (D,) that object; -1 without any.
        other_iou: (D,) largest IoU with an object of another class; 0 without any.
        other: (D,) that object; -1 without any.
    """

    image: Integers
    place: Integers
    score: Floats
    label: Integers
    match: Integers
    same_iou: Floats
    same: Integers
    other_iou: Floats
    other: Integers

    def chosen(self, rows: Integers | Flags) -> "Matches":
        """Some of the detections, in the order given."""
        return Matches(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def objects_to_find(judged: Sequence[Judged]) -> Integers:
    """(M,) classes of all objects that are neither crowds nor difficult, by their number."""
    wanted = [one.true_labels[_wanted(one)] for one in judged]
    return np.concatenate([np.empty(0, dtype=np.int64), *wanted])


def matched(judged: Sequence[Judged]) -> Matches:
    """Give objects to detections as COCO does at IoU 0.5.

    In each image and class, detections choose by score: each takes the object that it overlaps most
    among those nobody has taken yet. What is chosen does not depend on detections with lower scores.

    Args:
        judged: Images, each once.
    """
    parts, before = [_nothing()], 0
    for image, one in enumerate(judged):
        parts.append(_matched_in(one, image=image, before=before))
        before += int(_wanted(one).sum())
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Matches)
    }
    return Matches(**columns).chosen(np.argsort(-columns["score"], kind="stable"))


def ignored_overlap(one: Judged) -> Flags:
    """(N,) whether each detection meets a difficult object or a crowd of its class.

    Half of the detection must lie inside a crowd, whose box is much larger than any one of its members;
    a difficult object is met at IoU 0.5, as any object is.
    """
    same = one.labels[:, None] == one.true_labels
    difficult = (overlaps(one.boxes, one.true_boxes) >= LEAST_IOU) & one.is_difficult
    crowd = (covered(one.boxes, one.true_boxes) >= LEAST_IOU) & one.is_crowd
    return np.asarray((same & (difficult | crowd)).any(axis=1))


def _wanted(one: Judged) -> Flags:
    return ~one.is_crowd & ~one.is_difficult


def _matched_in(one: Judged, *, image: int, before: int) -> Matches:
    """The detections of one image, best score first; its first object has the number `before`."""
    kept = _strongest(one)
    wanted = _wanted(one)
    shared = overlaps(one.boxes[kept], one.true_boxes[wanted])
    same = one.labels[kept][:, None] == one.true_labels[wanted]
    match = _taken(np.where(same, shared, 0))
    same_iou, same_place = _largest(np.where(same, shared, 0))
    other_iou, other_place = _largest(np.where(same, 0, shared))
    rows = Matches(
        image=np.full(len(kept), image),
        place=kept,
        score=one.scores[kept].astype(np.float64),
        label=one.labels[kept],
        match=np.where(match >= 0, match + before, -1),
        same_iou=same_iou,
        same=np.where(same_place >= 0, same_place + before, -1),
        other_iou=other_iou,
        other=np.where(other_place >= 0, other_place + before, -1),
    )
    return rows.chosen((match >= 0) | ~ignored_overlap(one)[kept])


def _strongest(one: Judged) -> Integers:
    """Detections by falling score, at most a hundred of each class."""
    order = np.argsort(-one.scores, kind="stable")
    if len(order) <= MOST_DETECTIONS:
        return order
    labels = one.labels[order]
    strongest = [np.flatnonzero(labels == label)[:MOST_DETECTIONS] for label in np.unique(labels)]
    return order[np.sort(np.concatenate(strongest))]


def _taken(shared: Floats) -> Integers:
    """(N,) the object that each detection takes, -1 for none; `shared` is (N, M) IoU of possible pairs."""
    match = np.full(len(shared), -1)
    free = np.ones(shared.shape[1], dtype=bool)
    for place in np.flatnonzero((shared >= LEAST_IOU).any(axis=1)):
        # The last of equal ones, as COCO's loop finds it.
        open_to = np.where(free, shared[place], -1)[::-1]
        best = len(open_to) - 1 - int(open_to.argmax())
        if free[best] and shared[place, best] >= LEAST_IOU:
            match[place], free[best] = best, False
    return match


def _largest(shared: Floats) -> tuple[Floats, Integers]:
    """(N,) largest value of each row and (N,) its column, -1 where all are 0."""
    if not shared.size:
        return np.zeros(len(shared)), np.full(len(shared), -1)
    column = shared.argmax(axis=1)
    value = shared[np.arange(len(shared)), column]
    return value, np.where(value > 0, column, -1)


def _nothing() -> Matches:
    numbers, labels = np.zeros(0), np.zeros(0, dtype=np.int64)
    return Matches(
        image=labels,
        place=labels,
        score=numbers,
        label=labels,
        match=labels,
        same_iou=numbers,
        same=labels,
        other_iou=numbers,
        other=labels,
    )
