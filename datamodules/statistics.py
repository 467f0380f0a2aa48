"""Mean and deviation of each channel, computed from pictures."""

import hashlib
from pathlib import Path

import numpy as np

from datamodules.arrays import IntArray
from datamodules.disk import read_json, write_json
from datamodules.images import to_grey
from datamodules.sources import ImageSource

MOST_PICTURES = 10_000
"""Of more pictures than this, as many are taken at even distances: the fourth digit no longer changes."""


def channel_statistics(
    source: ImageSource, positions: IntArray, *, channels: int, cache_dir: Path | None
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of all pixels, each picture counting the same.

    Pictures are taken as they are stored, before any recipe, so that the figures belong to the data.

    Args:
        source: The pictures.
        positions: Those to take, (N,); at most 10,000 of them are read.
        channels: 1 for one pair of figures of the grey picture, 3 for three.
        cache_dir: Folder to remember the result in; None computes it every time.

    Returns:
        ``channels`` means and as many deviations, of pictures in [0, 1].

    Raises:
        ValueError: If a channel is the same everywhere.
    """
    cached = cache_dir and cache_dir / f"statistics_{_key(source, positions, channels)}.json"
    known = read_json(cached) if cached else None
    if known is not None:
        return known["mean"], known["std"]
    mean, std = _compute(source, _thinned(positions), channels)
    if min(std) <= 0:
        raise ValueError(
            "a channel of the training pictures is the same everywhere; set data.mean and data.std by hand"
        )
    if cached:
        write_json(cached, {"mean": mean, "std": std})
    return mean, std


def complete_statistics(
    mean: list[float] | None,
    std: list[float] | None,
    *,
    source: ImageSource,
    positions: IntArray,
    channels: int,
    cache_dir: Path | None,
) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel, computed where they are not given; see `channel_statistics`."""
    if mean is not None and std is not None:
        return mean, std
    found = channel_statistics(source, positions, channels=channels, cache_dir=cache_dir)
    return mean or found[0], std or found[1]


def check_statistics(mean: list[float] | None, std: list[float] | None, channels: int) -> None:
    """Refuse figures that do not fit the channels, or a deviation that is none.

    Args:
        mean: Mean of each channel; None is computed later.
        std: Deviation of each channel; None is computed later.
        channels: Number of channels.

    Raises:
        ValueError: If their number is another, or a deviation is not above 0.
    """
    for name, values in (("mean", mean), ("std", std)):
        if values is not None and len(values) != channels:
            raise ValueError(
                f"data.{name}={values} has {len(values)} values, but data.channels={channels}; give one "
                "for each channel, or null to compute them"
            )
    if std is not None and min(std) <= 0:
        raise ValueError(f"data.std={std} must be above 0")


def _key(source: ImageSource, positions: IntArray, channels: int) -> str:
    return hashlib.sha256(f"{source.digest()} {channels}".encode() + positions.tobytes()).hexdigest()[:16]


def _thinned(positions: IntArray) -> IntArray:
    if len(positions) <= MOST_PICTURES:
        return positions
    return positions[np.linspace(0, len(positions) - 1, MOST_PICTURES).round().astype(np.int64)]


def _compute(source: ImageSource, positions: IntArray, channels: int) -> tuple[list[float], list[float]]:
    first, second = np.zeros(channels), np.zeros(channels)
    for position in positions.tolist():
        picture = source.read(position)
        picture = to_grey(picture)[..., :1] if channels == 1 else picture
        pixels = picture.reshape(-1, channels) / 255
        first += pixels.mean(axis=0)
        second += np.square(pixels).mean(axis=0)
    mean = first / len(positions)
    std = np.sqrt(np.maximum(second / len(positions) - np.square(mean), 0))
    return [float(value) for value in mean], [float(value) for value in std]
