"""Digit scenes: a detection and segmentation data set that is made of what every installation has."""

import hashlib
import logging
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.arrays import ByteArray, IntArray
from datamodules.embedded.digits import read_scans, writer_blocks
from datamodules.embedded.photographs import photographs_digest, read_photographs
from datamodules.embedded.scene import Material, Scene, make_scene
from datamodules.embedded.scene_cache import Arrays, SharedBytes, cached_arrays, content_digest
from datamodules.randomness import stable_hash
from datamodules.readers.boxed import Boxed

log = logging.getLogger(__name__)

SCENES_VERSION = 1
"""To be raised when the scenes change, so that those on disk are made anew."""

DEFAULT_SIZES = {"train": 1500, "val": 200, "test": 300}
_SPLITS = ("train", "val", "test")
_TITLE = "digit_scenes"


def read_digit_scenes(*, cache_dir: Path, seed: int = 0, sizes: Mapping[str, int] = DEFAULT_SIZES) -> Boxed:
    """Make the scenes, or read them from where they have been kept.

    Each has 1 to 6 of scikit-learn's digits, 16 to 40 pixels large, on a part of a colour photograph of 96
    to 160 pixels. Scans (by writer) and whole photographs are of one split only. A scene is decided by
    seed, split and its number in the split alone: more of them leave the first as they are.

    Args:
        cache_dir: Folder to keep the scenes in; one that cannot be written to is no error.
        seed: Decides all scenes.
        sizes: Numbers of scenes for ``train``, ``val`` and ``test``.

    Raises:
        ValueError: If a photograph is missing.
    """
    ordered = {split: int(sizes[split]) for split in _SPLITS}
    arrays = cached_arrays(
        cache_dir=cache_dir,
        title=_TITLE,
        decided_by=_decided_by(seed, ordered),
        make=lambda: _joined(_make_scenes(seed, ordered)),
    )
    return _boxed(arrays, ordered)


def check_sizes(sizes: Mapping[str, int]) -> None:
    """Refuse a split without scenes.

    Args:
        sizes: Number of scenes of each split.

    Raises:
        ValueError: If one is below 1.
    """
    wrong = [f"data.num_{split}={size}" for split, size in sizes.items() if size < 1]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} must be at least 1")


class SceneSource:
    """Square pictures of several sizes, end to end in one array.

    Args:
        pixels: uint8, all pictures.
        sizes: int64 (N, 2), heights and widths.
    """

    def __init__(self, pixels: ByteArray, *, sizes: IntArray) -> None:
        self._pixels = SharedBytes(pixels)
        self._sizes = sizes
        self._starts = _starts(sizes) * 3

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._sizes)

    def read(self, position: int) -> ByteArray:
        """RGB picture, uint8 HWC; a copy."""
        pixels = self._pixels.content[self._starts[position] : self._starts[position + 1]]
        height, width = self._sizes[position].tolist()
        return np.array(pixels, dtype=np.uint8).reshape(height, width, 3)

    def name(self, position: int) -> str:
        """Data set and number, such as ``digit_scenes[12]``."""
        return f"{_TITLE}[{position}]"

    def digest(self) -> str:
        """Sha256 of sizes and pixels."""
        parts = content_digest(self._sizes) + content_digest(self._pixels.content)
        return hashlib.sha256(parts.encode()).hexdigest()


class InstanceMaps:
    """Masks of objects out of one map for each picture.

    Args:
        instances: uint8, all maps end to end; 0 is background, k the k-th object of a picture, from 1.
        sizes: int64 (N, 2), heights and widths.
        offsets: int64 (N + 1,); the objects of picture i are those in [offsets[i], offsets[i + 1]).
    """

    def __init__(self, instances: ByteArray, *, sizes: IntArray, offsets: IntArray) -> None:
        self._instances = SharedBytes(instances)
        self._starts = _starts(sizes)
        self._offsets = offsets

    def read(self, position: int, *, height: int, width: int) -> ByteArray:
        """uint8 (height, width), 1 inside the object; see `MaskSource`."""
        picture = int(np.searchsorted(self._offsets, position, side="right")) - 1
        found = self._instances.content[self._starts[picture] : self._starts[picture + 1]]
        is_inside = found == position - self._offsets[picture] + 1
        return np.asarray(is_inside.reshape(height, width), dtype=np.uint8)

    def digest(self) -> str:
        """Sha256 of the maps."""
        return content_digest(self._instances.content)


def _starts(sizes: IntArray) -> IntArray:
    return np.concatenate([[0], np.cumsum(sizes.prod(axis=1))]).astype(np.int64)


def _decided_by(seed: int, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Everything the scenes depend on; scikit-learn's version stands for its scans."""
    packages = ("numpy", "opencv-python-headless", "scikit-learn")
    return {
        "version": SCENES_VERSION,
        "seed": seed,
        "sizes": dict(sizes),
        "photographs": photographs_digest(),
        "packages": {package: version(package) for package in packages},
    }


def _make_scenes(seed: int, sizes: Mapping[str, int]) -> list[Scene]:
    log.info("making %d digit scenes, which happens once", sum(sizes.values()))
    start = time.monotonic()
    scans, labels = read_scans()
    blocks = writer_blocks(len(labels))
    scenes = []
    for number, split in enumerate(_SPLITS):
        chosen = blocks[split]
        material = Material(photographs=read_photographs(split), scans=scans[chosen], labels=labels[chosen])
        indices = range(sizes[split])
        scenes += [make_scene(material, seed=stable_hash(seed, number, index)) for index in indices]
    log.info("made %d digit scenes in %.1f s", len(scenes), time.monotonic() - start)
    return scenes


def _joined(scenes: list[Scene]) -> Arrays:
    """All scenes end to end, each array with a file of its own."""
    return {
        "pixels": np.concatenate([scene.picture.ravel() for scene in scenes]),
        "instances": np.concatenate([scene.instances.ravel() for scene in scenes]),
        "sizes": np.array([scene.instances.shape for scene in scenes], dtype=np.int64),
        "offsets": np.cumsum([0, *(len(scene.labels) for scene in scenes)]).astype(np.int64),
        "boxes": np.concatenate([scene.boxes for scene in scenes]),
        "labels": np.concatenate([scene.labels for scene in scenes]),
        "areas": np.concatenate([scene.areas for scene in scenes]),
    }


def _boxed(arrays: Arrays, num_of_split: Mapping[str, int]) -> Boxed:
    sizes, offsets = np.array(arrays["sizes"]), np.array(arrays["offsets"])
    num_scenes, num_objects = len(sizes), int(offsets[-1])
    ends = np.cumsum([num_of_split[split] for split in _SPLITS])[:-1]
    return Boxed(
        title=_TITLE,
        source=SceneSource(arrays["pixels"], sizes=sizes),
        image_ids=np.arange(num_scenes),
        sizes=sizes,
        offsets=offsets,
        boxes=np.array(arrays["boxes"]),
        labels=np.array(arrays["labels"]),
        areas=np.array(arrays["areas"]),
        is_crowd=np.zeros(num_objects, dtype=np.bool_),
        is_difficult=np.zeros(num_objects, dtype=np.bool_),
        class_names=[str(digit) for digit in range(10)],
        category_ids=range(10),
        splits=dict(zip(_SPLITS, np.split(np.arange(num_scenes), ends), strict=True)),
        masks=InstanceMaps(arrays["instances"], sizes=sizes, offsets=offsets),
    )
