"""Find files that cannot be read before training meets them."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from datamodules.disk import read_json, write_json
from datamodules.images import check_image
from datamodules.sources import FileSource

_SLICE = 4096  # a million waiting futures would fill the memory


def find_broken(source: FileSource, *, cache_dir: Path) -> dict[int, str]:
    """Decode every file once, JPEGs at an eighth of their size.

    It costs about as long as reading the whole data set from disk, once: the result is kept for as
    long as no path, no file size and no time of writing changes.

    Args:
        source: The files.
        cache_dir: Folder to remember the result in; not used where it cannot be written.

    Returns:
        What is wrong with each broken file, by position.
    """
    missing = dict(_missing(source))
    if missing:  # it is not remembered, as they will hardly stay so
        return missing | dict(_check(source, [p for p in range(len(source)) if p not in missing]))
    cached = cache_dir / f"broken_{source.state()}.json"
    known = read_json(cached)
    if known is not None:
        return {int(position): str(message) for position, message in known.items()}
    found = dict(_check(source, list(range(len(source)))))
    write_json(cached, {str(position): message for position, message in found.items()})
    return found


def _missing(source: FileSource) -> Iterator[tuple[int, str]]:
    for position in range(len(source)):
        if not source.path(position).is_file():
            yield position, f"{source.path(position)} does not exist"


def _check(source: FileSource, positions: list[int]) -> Iterator[tuple[int, str]]:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        for start in range(0, len(positions), _SLICE):
            chosen = positions[start : start + _SLICE]
            messages = threads.map(check_image, [source.path(position) for position in chosen])
            yield from (
                (position, message) for position, message in zip(chosen, messages, strict=True) if message
            )
