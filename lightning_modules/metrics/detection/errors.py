"""What kind of mistakes a detector makes, and what each kind costs.

The kinds are those of TIDE (Bolya et al. 2020, https://arxiv.org/abs/2008.08115).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.detection.matching import LEAST_IOU, Matches

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FAR_IOU = 0.1
"""Below this a detection has nothing to do with an object."""

RECALLS = np.linspace(0, 1, 101)
"""COCO's."""

KINDS = {
    "duplicate": f"object found again (IoU ≥ {LEAST_IOU})",
    "class": f"right place, wrong class (IoU ≥ {LEAST_IOU})",
    "localisation": f"right class, poor place (IoU {FAR_IOU} to {LEAST_IOU})",
    "both": f"wrong class and poor place (IoU {FAR_IOU} to {LEAST_IOU})",
    "background": f"nothing there (IoU < {FAR_IOU})",
    "missed": "object that no detection is about",
}
"""Kinds of errors, with what they are; all but the last are wrong detections."""


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Kinds of errors of a set of detections.

    Attributes:
        kind: (D,) place in `KINDS` of each detection's error; -1 for a right one.
        about: (D,) object that the error is about: what a repair would find; -1 for none.
        missed: Objects that no detection found, and that no error of class or localisation is about.
    """

    kind: Integers
    about: Integers
    missed: Integers

    def counts(self) -> dict[str, int]:
        """How many errors of each kind."""
        found = np.bincount(self.kind + 1, minlength=len(KINDS) + 1)[1:].tolist()
        return {**dict(zip(KINDS, found, strict=True)), "missed": len(self.missed)}


def errors(matches: Matches, *, objects: Integers) -> Errors:
    """The kind of each wrong detection, and the objects that are missed.

    Where several kinds would fit, that with the higher overlap does: a second box around an object is a
    duplicate, and a box around an object of another class is of the wrong class, even if an object of
    its own class is somewhere near.

    Args:
        matches: Detections and what they found.
        objects: (M,) classes of all objects.
    """
    wrong = matches.match < 0
    fits = [
        matches.same_iou >= LEAST_IOU,
        matches.other_iou >= LEAST_IOU,
        matches.same_iou >= FAR_IOU,
        matches.other_iou >= FAR_IOU,
    ]
    kind = np.where(wrong, np.select(fits, [0, 1, 2, 3], default=4), -1)
    about = np.select([kind == 1, kind == 2], [matches.other, matches.same], default=-1)
    return Errors(
        kind=kind,
        about=about,
        missed=np.setdiff1d(np.arange(len(objects)), np.concatenate([matches.match, about])),
    )


def gains(matches: Matches, *, objects: Integers, num_classes: int) -> dict[str, float]:
    """How much AP at IoU 0.5 (mean over classes) would rise if all errors of one kind were repaired.

    Errors of class and localisation become right where nobody found their object, the surest for each
    object, and vanish otherwise; duplicates, errors of both and those on the background vanish; missed
    objects are no longer looked for. Gains do not add up to what is missing to 1.

    Args:
        matches: Detections and what they found.
        objects: (M,) classes of all objects.
        num_classes: C.

    Returns:
        A gain in [-1, 1] for each of `KINDS`, seldom below 0; 0 for all where there is no object.
    """
    kinds = errors(matches, objects=objects)
    before = _mean_precision(matches.label, matches.match >= 0, objects, num_classes)
    found: dict[str, float] = {}
    for place, name in enumerate(KINDS):
        if name == "missed":
            looked_for = np.delete(objects, kinds.missed)
            after = _mean_precision(matches.label, matches.match >= 0, looked_for, num_classes, objects)
        else:
            after = _mean_precision(*_repaired(matches, kinds, place, objects), objects, num_classes)
        found[name] = after - before
    return found


def average_precision(right: NDArray[np.bool_], *, wanted: int) -> float:
    """COCO's mean over 101 recalls of the best precision at that recall or above.

    Args:
        right: (N,) whether each detection of a class is right, best score first.
        wanted: Objects to find, at least 1.
    """
    return float(precision_by_recall(right, wanted=wanted).mean())


def precision_by_recall(right: NDArray[np.bool_], *, wanted: int) -> Floats:
    """(101,) best precision at each of `RECALLS` or above; 0 where it is never reached.

    Args:
        right: (N,) whether each detection of a class is right, best score first.
        wanted: Objects to find, at least 1.
    """
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return np.asarray(envelope[np.searchsorted(hits / wanted, RECALLS, side="left")])


def _repaired(
    matches: Matches, kinds: Errors, place: int, objects: Integers
) -> tuple[Integers, NDArray[np.bool_]]:
    """Class of the detections that are left, best score first, and whether each is right."""
    ours = kinds.kind == place
    about = np.where(ours, kinds.about, -1)
    mended = (about >= 0) & ~np.isin(about, matches.match[matches.match >= 0]) & _first(about)
    label = np.where(mended, objects[about] if len(objects) else -1, matches.label)
    left = ~ours | mended
    return label[left], ((matches.match >= 0) | mended)[left]


def _first(numbers: Integers) -> NDArray[np.bool_]:
    """(N,) whether a number stands there for the first time."""
    first = np.zeros(len(numbers), dtype=bool)
    first[np.unique(numbers, return_index=True)[1]] = True
    return first


def _mean_precision(
    label: Integers,
    right: NDArray[np.bool_],
    objects: Integers,
    num_classes: int,
    all_objects: Integers | None = None,
) -> float:
    """Mean over the classes that have objects; 1 for one where all that were missed are forgiven."""
    wanted = np.bincount(objects, minlength=num_classes)
    present = np.bincount(objects if all_objects is None else all_objects, minlength=num_classes)
    precisions = [
        average_precision(right[label == one], wanted=int(wanted[one])) if wanted[one] else 1.0
        for one in np.flatnonzero(present)
    ]
    return float(np.mean(precisions)) if precisions else 0.0
