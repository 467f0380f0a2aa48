"""What a person should know of data before training on them: tables of plain values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.arrays import IntArray
from datamodules.base import SPLITS, Split
from datamodules.readers.boxed import Boxed

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_QUANTILE_NAMES = ("least", "5 %", "25 %", "median", "75 %", "95 %", "most")
_COMMONEST = 5  # picture sizes that are listed
_AREAS = (("small", 0, 32**2), ("medium", 32**2, 96**2), ("large", 96**2, np.inf))  # as COCO measures

Table = dict[str, Any]


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table of plain values.

    Args:
        title: What is in it.
        columns: Names of the columns.
        rows: As many values in each as there are columns.
    """
    return {"title": title, "columns": list(columns), "rows": [list(row) for row in rows]}


def boxed_tables(data: Boxed) -> list[Table]:
    """Splits, classes, boxes and pictures of detection data; splits may be empty.

    Args:
        data: All pictures and objects.
    """
    return [
        _splits(data),
        _classes(data),
        _box_sizes(data),
        _areas(data),
        *size_tables(data.sizes),
    ]


def size_tables(sizes: IntArray) -> list[Table]:
    """Quantiles of height and width of pictures, and the commonest sizes.

    Args:
        sizes: int64 (N, 2), height and width in pixels; 0 for unknown ones, which are left out.
    """
    known = sizes[np.all(sizes > 0, axis=1)]
    if not len(known):
        return []
    counts = Counter((int(width), int(height)) for height, width in known)
    common = [
        [f"{width}x{height}", count, share(count, len(known))]
        for (width, height), count in counts.most_common(_COMMONEST)
    ]
    rows = [["width", *_quantiles(known[:, 1])], ["height", *_quantiles(known[:, 0])]]
    return [
        table("picture sizes in pixels", ["side", *_QUANTILE_NAMES], rows),
        table(f"commonest of {len(counts)} picture sizes", ["width x height", "pictures", "share"], common),
    ]


def class_rows(names: Sequence[str], counts: Mapping[Split, Sequence[int]]) -> list[list[Any]]:
    """Name, number in each split and share of training of each class.

    Args:
        names: C names.
        counts: C numbers for each split.
    """
    total = sum(counts["train"])
    return [
        [name, *(counts[split][label] for split in SPLITS), share(counts["train"][label], total)]
        for label, name in enumerate(names)
    ]


def share(count: int, total: int) -> str:
    """A part in per cent."""
    return f"{100 * count / total:.1f} %" if total else "-"


def _splits(data: Boxed) -> Table:
    objects_each = np.diff(data.offsets)
    rows = []
    for split in SPLITS:
        positions, objects = data.splits[split], data.of_split(split)
        each = objects_each[positions]
        rows.append(
            [
                split,
                len(positions),
                len(objects),
                *(_quantiles(each, (0.0, 0.5, 1.0)) if len(each) else ["-"] * 3),
                int(np.sum(each == 0)),
                int(np.sum(data.is_crowd[objects])),
                int(np.sum(data.is_difficult[objects])),
            ]
        )
    columns = (
        "split",
        "pictures",
        "objects",
        "least in one",
        "median",
        "most",
        "without",
        "crowds",
        "difficult",
    )
    return table("splits", columns, rows)


def _classes(data: Boxed) -> Table:
    """Gaps between category ids are no classes of the data and not listed."""
    pictures = np.repeat(np.arange(len(data.sizes)), np.diff(data.offsets))
    objects = {split: data.counts(split) for split in SPLITS}
    shown = {split: _pictures_of_classes(data, pictures, split) for split in SPLITS}
    rows = []
    for label, (name, *counts, part) in enumerate(class_rows(data.class_names, objects)):
        if not (name.startswith("N/A ") and not any(counts)):
            rows.append([name, *counts, part, *(shown[split][label] for split in SPLITS)])
    columns = ["class", *SPLITS, "share", *(f"pictures {split}" for split in SPLITS)]
    return table("objects of classes", columns, rows)


def _pictures_of_classes(data: Boxed, pictures: IntArray, split: Split) -> list[int]:
    """C numbers of pictures of a split that show a class."""
    objects = data.of_split(split)
    pairs = np.unique(np.stack([pictures[objects], data.labels[objects]]), axis=1)
    return [int(count) for count in np.bincount(pairs[1], minlength=len(data.class_names))]


def _box_sizes(data: Boxed) -> Table:
    boxes = data.boxes.astype(np.float64)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    pictures = np.repeat(data.sizes.prod(axis=1), np.diff(data.offsets))
    values = {
        "width": width,
        "height": height,
        "root of width x height": np.sqrt(width * height),
        "width / height": width / height,
        "share of the picture's area": width * height / np.maximum(pictures, 1),
    }
    rows = [[name, *_quantiles(found)] for name, found in values.items() if len(found)]
    return table("box sizes in pixels", ["of", *_QUANTILE_NAMES], rows)


def _areas(data: Boxed) -> Table:
    areas = {split: data.areas[data.of_split(split)] for split in SPLITS}
    rows = []
    for name, low, high in _AREAS:
        counts = [int(np.sum((found >= low) & (found < high))) for found in areas.values()]
        limits = f"from {low}" if high == np.inf else f"{low} to {high}"
        rows.append([name, limits, *counts, share(counts[0], len(areas["train"]))])
    return table("objects by area, as COCO measures", ["size", "square pixels", *SPLITS, "share"], rows)


def _quantiles(values: npt.NDArray[Any], which: Sequence[float] = _QUANTILES) -> list[float | int]:
    rounded = [float(f"{value:.4g}") for value in np.quantile(values, which)]
    return [int(value) if value.is_integer() else value for value in rounded]
