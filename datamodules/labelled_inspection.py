"""What a person should know of pictures with one class each before training on them."""

from pathlib import Path
from typing import Any

from datamodules.base import SPLITS
from datamodules.inspection import class_rows, size_tables, table
from datamodules.readers.broken import find_broken
from datamodules.readers.labelled import Labelled
from datamodules.readers.picture_sizes import picture_sizes
from datamodules.readers.problems import BrokenRecords, Place, Problem
from datamodules.sources import FileSource


def inspect_labelled(data: Labelled, *, cache_dir: Path | None) -> dict[str, Any]:
    """Splits, classes, picture sizes and broken files.

    Args:
        data: All pictures.
        cache_dir: Folder to remember sizes and broken files in; None for data in memory.
    """
    counts = {split: data.counts(split) for split in SPLITS}
    tables = [
        table("splits", ["split", "pictures"], [[split, len(data.splits[split])] for split in SPLITS]),
        table("classes", ["class", *SPLITS, "share"], class_rows(data.class_names, counts)),
    ]
    problems: list[Problem] = []
    if isinstance(data.source, FileSource) and cache_dir is not None:
        broken = find_broken(data.source, cache_dir=cache_dir)
        problems = [Problem(Place(data.source.name(i), None, ""), text) for i, text in sorted(broken.items())]
        tables += size_tables(picture_sizes(data.source, cache_dir=cache_dir))
    return {"title": data.title, "tables": tables, "problems": [found.plain() for found in problems]}


def only_problems(error: BrokenRecords) -> dict[str, Any]:
    """The answer for data whose list of files cannot be used at all.

    Args:
        error: What reading said.
    """
    return {"title": error.title, "tables": [], "problems": [found.plain() for found in error.problems]}
