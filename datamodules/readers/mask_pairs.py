"""Find broken records among pictures and their masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.arrays import IntArray
from datamodules.batch import IGNORED
from datamodules.images import MOST_ELONGATED, check_shape
from datamodules.readers.broken import find_broken
from datamodules.readers.mask_classes import Classes, Said, meanings_of, to_classes
from datamodules.readers.mask_files import spelt
from datamodules.readers.mask_survey import Survey, survey_files
from datamodules.readers.picture_sizes import picture_sizes
from datamodules.readers.problems import Place, Problem
from datamodules.sources import FileSource

_TURNED = (
    " (the picture is turned upright by its EXIF orientation: turn its mask as well, or save the picture "
    "without that orientation)"
)
_SHOWN = 3  # wrong values of a mask that a message names


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pictures with their masks, before anything is read.

    Attributes:
        title: Name of the data set.
        root: Folder the paths are relative to.
        pictures: N relative paths with ``/``.
        masks: N relative paths with ``/``.
        groups: N split names; empty where the split is still to be cut.
        problems: Pictures without mask, and masks without picture; they are in no list.
    """

    title: str
    root: Path
    pictures: Sequence[str]
    masks: Sequence[str]
    groups: Sequence[str]
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What is right and what is wrong.

    Attributes:
        classes: The classes.
        problems: Everything that is wrong.
        kept: Positions of the good pairs, (K,).
        sizes: int64 (K, 2), height and width of the good pairs in pixels.
        pixels: int64 (K, C), pixels of each class in each good pair.
    """

    classes: Classes
    problems: Sequence[Problem]
    kept: IntArray
    sizes: IntArray
    pixels: IntArray


def check_pairs(pairs: Pairs, *, said: Said, cache_dir: Path, decoding: bool) -> Checked:
    """Read all masks once, and look at all pictures.

    Args:
        pairs: The files.
        said: What is known of the classes.
        cache_dir: Folder to remember in what is found out.
        decoding: Whether every picture is decoded, not only its header read.

    Raises:
        ValueError: If the classes cannot be found out.
    """
    pictures = FileSource(pairs.root, pairs.pictures, advice="")
    masks = FileSource(pairs.root, pairs.masks, advice="")
    survey = survey_files(masks, cache_dir=cache_dir, meanings=meanings_of(said))
    classes = to_classes(said, survey, title=pairs.title)
    sizes = picture_sizes(pictures, cache_dir=cache_dir)
    texts = _of_pictures(pictures, sizes, cache_dir=cache_dir, decoding=decoding)
    of_masks = _of_masks(pairs, survey, classes, sizes)
    problems = [
        *pairs.problems,
        *(Problem(Place(pictures.name(position), None, ""), text) for position, text in texts.items()),
        *(Problem(Place(masks.name(position), None, ""), text) for position, text in of_masks.items()),
    ]
    kept = np.setdiff1d(np.arange(len(pairs.pictures)), sorted({*texts, *of_masks})).astype(np.int64)
    return Checked(
        classes=classes,
        problems=problems,
        kept=kept,
        sizes=sizes[kept],
        pixels=_class_pixels(survey, classes)[kept],
    )


def _of_pictures(pictures: FileSource, sizes: IntArray, *, cache_dir: Path, decoding: bool) -> dict[int, str]:
    """What is wrong with pictures, by position."""
    found = find_broken(pictures, cache_dir=cache_dir) if decoding else {}
    unknown = np.flatnonzero(np.any(sizes <= 0, axis=1)).tolist()
    found = dict.fromkeys(unknown, "is not there, or not a whole picture") | found
    is_elongated = np.all(sizes > 0, axis=1) & (sizes.max(axis=1) > MOST_ELONGATED * sizes.min(axis=1))
    elongated = np.flatnonzero(is_elongated).tolist()
    return {position: check_shape(*sizes[position].tolist()) for position in elongated} | found


def _of_masks(pairs: Pairs, survey: Survey, classes: Classes, sizes: IntArray) -> dict[int, str]:
    """What is wrong with masks, by position; what is said first is nearer."""
    found = dict(survey.problems)
    is_known = np.all(sizes > 0, axis=1) & np.all(survey.sizes > 0, axis=1)
    for position in np.flatnonzero(is_known & np.any(sizes != survey.sizes, axis=1)).tolist():
        text = _other_size(survey.sizes[position], sizes[position], pairs.pictures[position])
        found.setdefault(position, text)
    wrong = np.flatnonzero(~classes.legend.knows(survey.codes))
    each, starts = np.unique(survey.positions[wrong], return_index=True)  # they are in order
    for position, rows in zip(each.tolist(), np.split(wrong, starts)[1:], strict=True):
        found.setdefault(position, _no_class(survey.codes[rows], survey.pixels[rows], len(classes.names)))
    return found


def _other_size(mask: IntArray, picture: IntArray, path: str) -> str:
    is_turned = mask.tolist() == picture[::-1].tolist()
    hint = _TURNED if is_turned else ""
    return f"has {mask[1]}x{mask[0]} pixels, but its picture {path} has {picture[1]}x{picture[0]}{hint}"


def _no_class(codes: IntArray, pixels: IntArray, count: int) -> str:
    pairs = zip(codes.tolist(), pixels.tolist(), strict=True)
    listed = [f"{spelt(code)} in {number} pixels" for code, number in pairs]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return (
        f"has {', '.join(listed[:_SHOWN])}{more}, which is none of the {count} classes; see "
        "data.class_names, data.palette, data.values and data.ignore_value"
    )


def _class_pixels(survey: Survey, classes: Classes) -> IntArray:
    """int64 (N, C), pixels of each class in each mask."""
    found = np.zeros((len(survey.sizes), len(classes.names)), dtype=np.int64)
    ids = classes.legend.ids(survey.codes).astype(np.int64)
    counts = ids != IGNORED
    np.add.at(found, (survey.positions[counts], ids[counts]), survey.pixels[counts])
    return found
