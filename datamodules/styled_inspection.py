"""What a person should know of contents and styles before training on them."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from datamodules.base import SPLITS
from datamodules.inspection import Table, size_tables, table
from datamodules.photographs import PhotographSource
from datamodules.readers.broken import find_broken
from datamodules.readers.labelled import Labelled
from datamodules.readers.picture_sizes import picture_sizes
from datamodules.readers.problems import Place, Problem
from datamodules.sources import FileSource, ImageSource


def inspect_pictures(
    title: str, *, content: PhotographSource, style: PhotographSource, seen: Sequence[Tensor]
) -> dict[str, Any]:
    """Sizes of the content and its styles.

    Args:
        title: Name of the data.
        content: One picture.
        style: Its styles.
        seen: All of them as they are handed to a task, (3, H, W) each.
    """
    stored = [("content", content, 0), *(("style", style, place) for place in range(len(style)))]
    rows = [
        [part, source.name(place), _size(source.read(place).shape[:2]), _size(image.shape[1:])]
        for (part, source, place), image in zip(stored, seen, strict=True)
    ]
    columns = ["part", "picture", "width x height", "as it is seen"]
    return {"title": title, "tables": [table("pictures", columns, rows)], "problems": []}


def inspect_contents(
    title: str, *, contents: Labelled, styles: Labelled | PhotographSource
) -> dict[str, Any]:
    """Splits, styles, picture sizes and broken files.

    Args:
        title: Name of the data.
        contents: The photographs.
        styles: The styles of each of them, or many of which each has one.
    """
    if isinstance(styles, Labelled):
        source, heading = styles.source, "styles to choose from"
        counts = {split: len(styles.splits[split]) for split in SPLITS}
    else:
        source, heading, counts = styles, "styles of each", dict.fromkeys(SPLITS, len(styles))
    rows = [[split, len(contents.splits[split]), counts[split]] for split in SPLITS]
    columns = ["split", "photographs", heading]
    parts = [(contents.source, "photographs"), (source, "styles")]
    tables = [found for part, title in parts for found in _sizes(part, of=title)]
    problems = [found.plain() for part, _ in parts for found in _problems(part)]
    return {"title": title, "tables": [table("splits", columns, rows), *tables], "problems": problems}


def _sizes(source: ImageSource, *, of: str) -> list[Table]:
    if isinstance(source, FileSource):
        sizes = picture_sizes(source, cache_dir=source.root / ".cache")
        return [{**found, "title": f"{of}: {found['title']}"} for found in size_tables(sizes)]
    shapes = [source.read(position).shape[:2] for position in range(len(source))]
    rows = [[source.name(position), _size(shape)] for position, shape in enumerate(shapes)]
    return [table(of, ["picture", "width x height"], rows)]


def _problems(source: ImageSource) -> list[Problem]:
    if not isinstance(source, FileSource):
        return []
    broken = find_broken(source, cache_dir=source.root / ".cache")
    return [Problem(Place(source.name(place), None, ""), text) for place, text in sorted(broken.items())]


def _size(shape: Sequence[int]) -> str:
    height, width = shape
    return f"{width}x{height}"
