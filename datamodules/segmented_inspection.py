"""What a person should know of pictures with a class for each pixel before training on them."""

from collections.abc import Mapping
from typing import Any

from datamodules.base import SPLITS, Split
from datamodules.inspection import Table, share, size_tables, table
from datamodules.readers.segmented import Segmented


def segmented_tables(data: Segmented) -> list[Table]:
    """Splits, pixels and pictures of each class, and picture sizes; splits may be empty.

    Args:
        data: All pictures and masks.
    """
    return [_splits(data), _pixels(data), _pictures(data), *size_tables(data.sizes)]


def _splits(data: Segmented) -> Table:
    rows = []
    for split in SPLITS:
        total, known = data.num_pixels(split), sum(data.counts(split))
        rows.append([split, len(data.splits[split]), total, total - known, share(total - known, total)])
    return table("splits", ["split", "pictures", "pixels", "do not count", "share"], rows)


def _pixels(data: Segmented) -> Table:
    """Shares are those of the pixels that count."""
    counts = {split: data.counts(split) for split in SPLITS}
    totals = {split: sum(counts[split]) for split in SPLITS}
    return table("pixels of classes", _columns(), _rows(data, counts, totals))


def _pictures(data: Segmented) -> Table:
    """Shares are those of the pictures."""
    counts = {split: data.num_pictures(split) for split in SPLITS}
    totals = {split: len(data.splits[split]) for split in SPLITS}
    return table("pictures that show a class", _columns(), _rows(data, counts, totals))


def _columns() -> list[str]:
    return ["class", *(word for split in SPLITS for word in (split, f"share of {split}"))]


def _rows(data: Segmented, counts: Mapping[Split, list[int]], totals: Mapping[Split, int]) -> list[list[Any]]:
    """Name, and for each split number and share of each class."""
    rows: list[list[Any]] = [[name] for name in data.class_names]
    for split in SPLITS:
        for label, row in enumerate(rows):
            row += [counts[split][label], share(counts[split][label], totals[split])]
    return rows
