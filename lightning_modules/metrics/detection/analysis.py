"""Everything that tables and figures of a detector show beyond its measures."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from lightning_modules.metrics.detection.coco import Kind, evaluated
from lightning_modules.metrics.detection.confusion import confusion_counts
from lightning_modules.metrics.detection.errors import KINDS, RECALLS, errors, gains
from lightning_modules.metrics.detection.matching import Matches, matched, objects_to_find
from lightning_modules.metrics.detection.records import Judged
from lightning_modules.metrics.detection.voc import voc_precisions

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CURVES = {0.5: 0, 0.75: 5}
"""IoUs of the curves and their places among COCO's ten."""


class ErrorKind(TypedDict):
    """Errors of one kind.

    Attributes:
        kind: Its name.
        meaning: What it is, in a few words.
        count: How many there are at the score threshold.
        gain: Rise of AP at IoU 0.5 if all of them were repaired.
    """

    kind: str
    meaning: str
    count: int
    gain: float


class Curves(TypedDict):
    """Precision by recall, COCO's; R is 101.

    Attributes:
        recall: (R,) from 0 to 1.
        ious: The K IoUs.
        precision: (K, C, R), in [0, 1]; NaN for a class without objects.
        mean: (K, R), over the classes that have objects; NaN where none has.
    """

    recall: Floats
    ious: list[float]
    precision: Floats
    mean: Floats


class ImageMistakes(TypedDict):
    """What is right and wrong in one image, at the score threshold.

    Attributes:
        index: Position in the data set.
        right: Places of the detections that found an object, best score first.
        wrong: Places of the other detections, best score first; none that meet crowds or difficult objects.
        missed: Places of the objects that nobody found.
    """

    index: int
    right: list[int]
    wrong: list[int]
    missed: list[int]


class Analysis(TypedDict):
    """What `analyse` finds; C classes.

    Attributes:
        class_names: C names.
        per_class: A row for each class, see `analyse`.
        curves: Precision by recall.
        score_threshold: Score above which F1 over all classes is highest.
        f1: That F1, in [0, 1].
        confusion: (C + 1, C + 1) at that threshold, see `confusion_counts`.
        errors: One entry for each kind.
        images: One entry for each image.
    """

    class_names: list[str]
    per_class: list[dict[str, str | int | float]]
    curves: Curves
    score_threshold: float
    f1: float
    confusion: Integers
    errors: list[ErrorKind]
    images: list[ImageMistakes]


def analyse(judged: Sequence[Judged], *, class_names: Sequence[str]) -> Analysis:
    """Look into the detections of a set of images.

    COCO's numbers (``ap``, ``ap_50``, ``ap_75``, ``recall`` and curves) count difficult objects, since COCO
    knows none; VOC's, F1, the confusion and the errors leave them out with the detections that meet them.
    A row of ``per_class`` has ``class``, ``objects`` (to find: no crowds, no difficult ones), ``detections``,
    ``ap``, ``ap_50``, ``ap_75``, ``recall`` (mean over ten IoUs, at most a hundred detections),
    ``voc07_ap_50``, ``voc10_ap_50``, ``precision_at_threshold``, ``recall_at_threshold`` and, where all
    images have masks, ``segm_ap`` and ``segm_ap_50``; NaN where a class has nothing to divide by.

    Args:
        judged: Images, each once.
        class_names: C names in the order of the class ids.
    """
    matches, objects = matched(judged), objects_to_find(judged)
    classes = len(class_names)
    threshold, f1 = best_threshold(matches, wanted=len(objects))
    columns, curves = _coco_columns(judged, classes)
    columns |= _voc_columns(judged, classes) | _columns_at(threshold, matches, objects, classes)
    return {
        "class_names": list(class_names),
        "per_class": _rows(class_names, {**_numbers(judged, objects, classes), **columns}),
        "curves": curves,
        "score_threshold": threshold,
        "f1": f1,
        "confusion": confusion_counts(judged, num_classes=classes, score_threshold=threshold),
        "errors": _error_kinds(matches, objects, classes, threshold),
        "images": _images(judged, matches, threshold),
    }


def best_threshold(matches: Matches, *, wanted: int) -> tuple[float, float]:
    """The score above which F1 of all classes together is highest, and that F1.

    Args:
        matches: Detections and what they found.
        wanted: Objects to find.

    Returns:
        A score that some detection has, and F1 in [0, 1]; 0.5 and 0 where nothing is right.
    """
    hits = np.cumsum(matches.match >= 0)
    if not hits.size or not hits[-1]:
        return 0.5, 0.0
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + wanted)
    # A threshold takes all detections of one score or none of them.
    last_of_score = np.append(matches.score[1:] != matches.score[:-1], True)
    best = int(np.argmax(np.where(last_of_score, f1, -1)))
    return float(matches.score[best]), float(f1[best])


def _numbers(judged: Sequence[Judged], objects: Integers, classes: int) -> dict[str, Integers]:
    labels = np.concatenate([np.empty(0, dtype=np.int64), *(one.labels for one in judged)])
    return {
        "objects": np.bincount(objects, minlength=classes),
        "detections": np.bincount(labels, minlength=classes),
    }


def _coco_columns(judged: Sequence[Judged], classes: int) -> tuple[dict[str, Floats], Curves]:
    """Columns of the table, (C,) each, and the curves."""
    precision, recall = _precision_and_recall(judged, classes, "bbox")
    columns = {
        "ap": precision.mean(axis=(0, 1)),
        "ap_50": precision[0].mean(axis=0),
        "ap_75": precision[5].mean(axis=0),
        "recall": recall.mean(axis=0),
    }
    if judged and all(one.masks is not None and one.true_masks is not None for one in judged):
        masks, _ = _precision_and_recall(judged, classes, "segm")
        columns |= {"segm_ap": masks.mean(axis=(0, 1)), "segm_ap_50": masks[0].mean(axis=0)}
    return columns, _curves(precision)


def _precision_and_recall(judged: Sequence[Judged], classes: int, kind: Kind) -> tuple[Floats, Floats]:
    """(10, 101, C) and (10, C) of all sizes, at most a hundred detections; NaN without objects."""
    if not judged:
        return np.full((10, len(RECALLS), classes), np.nan), np.full((10, classes), np.nan)
    found = evaluated(judged, num_classes=classes, kind=kind).eval
    precision, recall = np.asarray(found["precision"]), np.asarray(found["recall"])
    return _unknown(precision[..., 0, -1]), _unknown(recall[..., 0, -1])


def _unknown(values: Floats) -> Floats:
    """COCO says -1 where nothing is known."""
    return np.where(values < 0, np.nan, values)


def _curves(precision: Floats) -> Curves:
    chosen = precision[list(CURVES.values())].transpose(0, 2, 1)
    known = ~np.isnan(chosen[0, :, 0])
    mean = chosen[:, known].mean(axis=1) if known.any() else np.full_like(chosen[:, 0], np.nan)
    return {"recall": RECALLS.copy(), "ious": list(CURVES), "precision": chosen, "mean": mean}


def _voc_columns(judged: Sequence[Judged], classes: int) -> dict[str, Floats]:
    by_points, by_area = voc_precisions(judged, num_classes=classes)
    return {"voc07_ap_50": by_points, "voc10_ap_50": by_area}


def _columns_at(threshold: float, matches: Matches, objects: Integers, classes: int) -> dict[str, Floats]:
    sure = matches.chosen(matches.score >= threshold)
    right = np.bincount(sure.label[sure.match >= 0], minlength=classes)
    said, wanted = np.bincount(sure.label, minlength=classes), np.bincount(objects, minlength=classes)
    return {
        "precision_at_threshold": np.where(said > 0, right / np.maximum(said, 1), np.nan),
        "recall_at_threshold": np.where(wanted > 0, right / np.maximum(wanted, 1), np.nan),
    }


def _rows(
    class_names: Sequence[str], columns: Mapping[str, Floats | Integers]
) -> list[dict[str, str | int | float]]:
    values = {name: column.tolist() for name, column in columns.items()}
    return [
        {"class": name, **{column: values[column][place] for column in values}}
        for place, name in enumerate(class_names)
    ]


def _error_kinds(matches: Matches, objects: Integers, classes: int, threshold: float) -> list[ErrorKind]:
    # What is given to a detection does not depend on detections with lower scores.
    sure = matches.chosen(matches.score >= threshold)
    counts = errors(sure, objects=objects).counts()
    rises = gains(matches, objects=objects, num_classes=classes)
    return [
        {"kind": kind, "meaning": meaning, "count": counts[kind], "gain": rises[kind]}
        for kind, meaning in KINDS.items()
    ]


def _images(judged: Sequence[Judged], matches: Matches, threshold: float) -> list[ImageMistakes]:
    sure = matches.chosen(matches.score >= threshold)
    found = set(sure.match.tolist())
    rows: list[ImageMistakes] = []
    before = 0
    for one in judged:
        wanted = np.flatnonzero(~one.is_crowd & ~one.is_difficult).tolist()
        missed = [place for number, place in enumerate(wanted, start=before) if number not in found]
        rows.append({"index": one.index, "right": [], "wrong": [], "missed": missed})
        before += len(wanted)
    columns = (sure.image.tolist(), sure.place.tolist(), sure.match.tolist())
    for image, place, match in zip(*columns, strict=True):
        rows[image]["right" if match >= 0 else "wrong"].append(place)
    return rows
