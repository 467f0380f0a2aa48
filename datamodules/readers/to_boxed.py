"""The one way from annotations of any format to a checked data set with its splits."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.arrays import IntArray
from datamodules.boxed_picture import FloatArray
from datamodules.readers.boxed import Boxed
from datamodules.readers.listing import ADVICE, Cut, OnError
from datamodules.readers.object_checks import Care, Findings, check_objects, clipped
from datamodules.readers.objects import DoubleArray, RawObjects
from datamodules.readers.problems import BrokenRecords, num_records
from datamodules.sources import FileSource
from datamodules.splits import stratified_split

_SPLITS = ("train", "val", "test")
WAY_OUT = (
    "correct them (make data task=detection data=... lists them all), or set data.on_error=skip to leave "
    "them out"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A data set that everybody has the same files of.

    Its pictures are as the annotations say unless the download failed, so they are only looked at on
    inspection, and so are masks, and a missing picture is never left out; an object that is there twice
    stays, too. Measured on less, a result could not be compared with those in print.

    Attributes:
        advice: Where to get the files.
    """

    advice: str


def to_boxed(
    raw: RawObjects,
    *,
    cut: Cut,
    on_error: OnError,
    cache_dir: Path,
    published: Published | None = None,
    test_is_val: bool = False,
    way_out: str = WAY_OUT,
) -> Boxed:
    """Check everything, leave out what is broken if asked for, and cut what has no split yet.

    Args:
        raw: What was read.
        cut: For pictures without a split; see `split_pictures`.
        on_error: ``raise`` refuses broken records, ``skip`` leaves out broken objects and broken
            pictures (with all their objects). For either every picture is decoded once, which is
            remembered.
        cache_dir: Folder to remember it in.
        published: For data that everybody has the same files of.
        test_is_val: Tests on the pictures for validation.
        way_out: What a person can do about broken records.

    Raises:
        ValueError: If there are broken records, or a split is empty.
    """
    is_own = published is None
    care = Care(sizes=is_own, decoding=is_own, twice=is_own, masks=is_own)
    findings = check_objects(raw, care=care, cache_dir=cache_dir)
    if published is not None and not np.all(findings.is_there):
        raise ValueError(_missing(raw, findings, published))
    if findings.problems and on_error == "raise":
        raise BrokenRecords(findings.problems, title=raw.title, way_out=way_out)
    if findings.problems:
        first = str(findings.problems[0])
        log.warning("%d broken records of %s left out, such as: %s", _count(findings), raw.title, first)
    advice = ADVICE if published is None else published.advice
    found = good_ones(raw, findings, cut=cut, advice=advice, test_is_val=test_is_val)
    _check_splits(found, raw.root)
    return found


def good_ones(
    raw: RawObjects, findings: Findings, *, cut: Cut, advice: str = ADVICE, test_is_val: bool = False
) -> Boxed:
    """The data set of all good pictures with their good objects; splits may be empty.

    Args:
        raw: What was read.
        findings: What is good.
        cut: For pictures without a split.
        advice: What to do about a picture that turns out to be broken.
        test_is_val: Tests on the pictures for validation.
    """
    kept = np.flatnonzero(findings.is_good_picture)
    number = np.full(len(raw.paths), -1)
    number[kept] = np.arange(len(kept))
    pictures = number[raw.pictures]
    objects = np.flatnonzero(findings.is_good_object & (pictures >= 0))
    objects = objects[np.argsort(pictures[objects], kind="stable")]
    boxes = clipped(raw.boxes[objects], findings.sizes[raw.pictures[objects]])
    groups = [raw.groups[position] for position in kept.tolist()]
    labels = raw.labels[objects]
    splits = split_pictures(groups, _rarest(labels, pictures[objects], len(kept)), cut=cut)
    return Boxed(
        title=raw.title,
        source=FileSource(raw.root, [raw.paths[position] for position in kept.tolist()], advice=advice),
        image_ids=raw.image_ids[kept],
        sizes=findings.sizes[kept],
        offsets=np.searchsorted(pictures[objects], np.arange(len(kept) + 1)),
        boxes=boxes.astype(np.float32),
        labels=labels,
        areas=_areas(raw.areas[objects], boxes),
        is_crowd=raw.is_crowd[objects],
        is_difficult=raw.is_difficult[objects],
        class_names=raw.class_names,
        category_ids=raw.category_ids,
        splits=splits | {"test": splits["val"]} if test_is_val else splits,
        masks=None if raw.masks is None else raw.masks.chosen(objects),
        skipped=_count(findings),
    )


def split_pictures(groups: Sequence[str], kinds: IntArray, *, cut: Cut) -> dict[str, IntArray]:
    """Deal out pictures that belong to no split.

    Where all belong to one and a split is missing, it is cut from those for training.

    Args:
        groups: N split names; empty for pictures to be dealt out.
        kinds: (N,) numbers; each split gets about the same share of each.
        cut: Shares of what is dealt out.
    """
    named = np.asarray(groups, dtype=np.str_)
    missing = {split for split in ("val", "test") if split not in groups}
    val, test = cut.val, cut.test
    if "" not in groups and missing:
        named = np.where(named == "train", "", named)
        val, test = val * ("val" in missing), test * ("test" in missing)
    free = np.flatnonzero(named == "")
    parts = stratified_split(kinds[free], fractions=[val, test], seed=cut.seed)
    return {
        split: np.union1d(np.flatnonzero(named == split), free[part])
        for split, part in zip(_SPLITS, parts, strict=True)
    }


def _rarest(labels: IntArray, pictures: IntArray, count: int) -> IntArray:
    """The class of each picture that is rarest in the data; -1 for a picture without objects."""
    found = np.full(count, -1)
    commonest_first = np.argsort(-np.bincount(labels)[labels], kind="stable") if len(labels) else labels
    found[pictures[commonest_first]] = labels[commonest_first]  # what is written last stays
    return found


def _areas(said: DoubleArray, boxes: DoubleArray) -> FloatArray:
    of_boxes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.where(said > 0, said, of_boxes).astype(np.float32)


def _count(findings: Findings) -> int:
    return num_records(findings.problems)


def _missing(raw: RawObjects, findings: Findings, published: Published) -> str:
    gone = np.flatnonzero(~findings.is_there)
    return (
        f"{len(gone)} of {len(raw.paths)} pictures of {raw.title} are missing, such as "
        f"{raw.root / raw.paths[int(gone[0])]}; {published.advice}"
    )


def _check_splits(found: Boxed, root: Path) -> None:
    for split, positions in found.splits.items():
        if not len(positions):
            raise ValueError(
                f"no pictures for {split} under {root}; give it some, or raise data.val_fraction "
                "or data.test_fraction"
            )
    counts = found.counts("train")
    if not sum(counts):
        raise ValueError(f"no objects to train on under {root}; give the pictures for training some")
    names = [name for name, count in zip(found.class_names, counts, strict=True) if not count]
    untrained = [name for name in names if not name.startswith("N/A ")]
    if untrained:
        log.warning("%s has no objects to train on of %d classes: %s", root, len(untrained), untrained[:5])
