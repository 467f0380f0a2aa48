"""The one way from pairs of picture and mask files to a checked data set with its splits."""

import logging
from pathlib import Path

import numpy as np

from datamodules.arrays import IntArray
from datamodules.readers.listing import ADVICE, Cut, OnError
from datamodules.readers.mask_classes import Said
from datamodules.readers.mask_files import MaskFiles
from datamodules.readers.mask_pairs import Checked, Pairs, check_pairs
from datamodules.readers.problems import BrokenRecords, num_records
from datamodules.readers.segmented import Segmented
from datamodules.readers.to_boxed import Published, split_pictures
from datamodules.sources import FileSource

WAY_OUT = (
    "correct them (make data task=segmentation data=... lists them all), or set data.on_error=skip to leave "
    "them out"
)
IF_IGNORED = "; say data.values=[0,255] data.ignore_value=null if 255 is a class"
log = logging.getLogger(__name__)


def to_segmented(
    pairs: Pairs,
    *,
    said: Said,
    cut: Cut,
    on_error: OnError,
    cache_dir: Path,
    published: Published | None = None,
    test_is_val: bool = False,
) -> Segmented:
    """Check everything, leave out what is broken if asked for, and cut what has no split yet.

    Args:
        pairs: The files.
        said: What is known of the classes.
        cut: For pictures without a split.
        on_error: ``raise`` refuses broken records, ``skip`` leaves out their pictures.
        cache_dir: Folder to remember in what is found out.
        published: For data that everybody has the same files of; pictures are decoded on inspection only,
            and nothing is ever left out.
        test_is_val: Tests on the pictures for validation.

    Raises:
        ValueError: If there are broken records, or a split is empty.
    """
    checked = check_pairs(pairs, said=said, cache_dir=cache_dir, decoding=published is None)
    if checked.problems and (on_error == "raise" or published is not None):
        way_out = WAY_OUT if published is None else published.advice
        raise BrokenRecords(checked.problems, title=pairs.title, way_out=way_out)
    if checked.problems:
        count, first = num_records(checked.problems), str(checked.problems[0])
        log.warning("%d broken records of %s left out, such as: %s", count, pairs.title, first)
    advice = ADVICE if published is None else published.advice
    found = good_pairs(pairs, checked, cut=cut, advice=advice, test_is_val=test_is_val)
    check_splits(found, pairs.root, hint=IF_IGNORED if published is None else "")
    return found


def good_pairs(
    pairs: Pairs, checked: Checked, *, cut: Cut, advice: str = ADVICE, test_is_val: bool = False
) -> Segmented:
    """The data set of all good pairs; splits may be empty.

    Args:
        pairs: The files.
        checked: What is good.
        cut: For pictures without a split.
        advice: What to do about a picture that turns out to be broken.
        test_is_val: Tests on the pictures for validation.
    """
    kept = checked.kept.tolist()
    masks = FileSource(pairs.root, [pairs.masks[position] for position in kept], advice=advice)
    groups = [pairs.groups[position] for position in kept]
    splits = split_pictures(groups, rarest_classes(checked.pixels), cut=cut)
    return Segmented(
        title=pairs.title,
        source=FileSource(pairs.root, [pairs.pictures[position] for position in kept], advice=advice),
        masks=MaskFiles(masks, checked.classes.legend, meanings=checked.classes.meanings),
        sizes=checked.sizes,
        pixels=checked.pixels,
        class_names=checked.classes.names,
        palette=checked.classes.palette,
        splits=splits | {"test": splits["val"]} if test_is_val else splits,
        skipped=num_records(checked.problems),
    )


def rarest_classes(pixels: IntArray) -> IntArray:
    """The class of each picture that the fewest pictures show, (N,); -1 where nothing counts.

    Args:
        pixels: int64 (N, C), pixels of each class in each picture.
    """
    is_shown = pixels > 0
    rarity = np.where(is_shown, is_shown.sum(axis=0), len(pixels) + 1)
    return np.where(is_shown.any(axis=1), rarity.argmin(axis=1), -1).astype(np.int64)


def check_splits(found: Segmented, root: Path, *, hint: str = "") -> None:
    """Refuse data with nothing to learn or to measure; tell of classes that are not trained.

    Args:
        found: The data.
        root: Where they are, for messages.
        hint: What to do where pixels for training do not count.

    Raises:
        ValueError: If a split has no picture or no pixel that counts, or fewer than two classes are trained.
    """
    for split, positions in found.splits.items():
        if not len(positions):
            raise ValueError(
                f"no pictures for {split} under {root}; give it some, or raise data.val_fraction "
                "or data.test_fraction"
            )
    _check_pixels(found, root, hint=hint)
    counts = found.counts("train")
    untrained = [name for name, count in zip(found.class_names, counts, strict=True) if not count]
    if untrained:
        log.warning("%s has no pixels to train on of %d classes: %s", root, len(untrained), untrained[:5])


def _check_pixels(found: Segmented, root: Path, *, hint: str) -> None:
    """Background alone trains nothing, and what has no pixel that counts has no measures."""
    for split, deed in (("train", "train"), ("val", "validate"), ("test", "test")):
        counts = found.counts(split)
        uncounted = found.num_pixels(split) - sum(counts)
        way_out = hint if uncounted else ""
        if not sum(counts):
            raise ValueError(
                f"no pixel to {deed} on under {root}: all masks for {split} have no class at all{way_out}"
            )
        if split == "train" and np.count_nonzero(counts) < 2:
            raise ValueError(
                f"all pixels to train on under {root} are {found.class_names[int(np.argmax(counts))]}, and "
                f"{uncounted} do not count; training needs two classes{way_out}"
            )
