"""What a person should know of pictures of identities before training on them."""

from pathlib import Path
from typing import Any

import numpy as np

from datamodules.base import SPLITS, Split
from datamodules.inspection import size_tables, table
from datamodules.readers.broken import find_broken
from datamodules.readers.identified import Identified
from datamodules.readers.picture_sizes import picture_sizes
from datamodules.readers.problems import Place, Problem
from datamodules.sources import FileSource

_LARGEST = 20  # identities that are listed


def inspect_identified(data: Identified, *, cache_dir: Path | None) -> dict[str, Any]:
    """Splits, pairs, identities, picture sizes and broken files.

    Args:
        data: All pictures.
        cache_dir: Folder to remember sizes and broken files in; None for data in memory.
    """
    tables = [
        table("splits", _OF_SPLIT, [_split_row(data, split) for split in SPLITS]),
        table("pairs that are compared", _OF_PAIRS, [_pairs_row(data, split) for split in SPLITS]),
        table(f"largest of {len(data.identity_names)} identities", ["identity", *SPLITS], _largest(data)),
    ]
    problems: list[Problem] = []
    if isinstance(data.source, FileSource) and cache_dir is not None:
        broken = find_broken(data.source, cache_dir=cache_dir)
        problems = [Problem(Place(data.source.name(i), None, ""), text) for i, text in sorted(broken.items())]
        tables += size_tables(picture_sizes(data.source, cache_dir=cache_dir))
    return {"title": data.title, "tables": tables, "problems": [found.plain() for found in problems]}


_OF_SPLIT = ["split", "pictures", "identities", "of one picture", "median", "most"]
_OF_PAIRS = ["split", "matching", "others", "pairs", "folds"]


def _split_row(data: Identified, split: Split) -> list[Any]:
    counts = data.counts(split)
    return [
        split,
        len(data.splits[split]),
        len(counts),
        int(np.sum(counts == 1)),
        float(np.median(counts)),
        int(counts.max()),
    ]


def _pairs_row(data: Identified, split: Split) -> list[Any]:
    pairs = data.pairs[split]
    folds = 0 if pairs is None else len(np.unique(pairs[pairs[:, 3] >= 0, 3]))
    return [split, *data.num_pairs(split), "each two" if pairs is None else "listed", folds or "-"]


def _largest(data: Identified) -> list[list[Any]]:
    count = len(data.identity_names)
    each = np.stack(
        [np.bincount(data.labels[data.splits[split]], minlength=count) for split in SPLITS], axis=1
    )
    chosen = np.argsort(-each.sum(axis=1), kind="stable")[:_LARGEST]
    return [[data.identity_names[label], *each[label].tolist()] for label in chosen.tolist()]
