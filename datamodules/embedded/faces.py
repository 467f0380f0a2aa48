"""Scikit-image's hundred small faces of LFW, which every installation has, with more pictures made of each.

There is one picture of each face, so that others are made here: what a network learns of them is to look past
position, size, light and noise, not past another day or expression.
"""

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.arrays import ByteArray
from datamodules.embedded.photographs import shipped_path
from datamodules.randomness import stable_hash
from datamodules.readers.identified import NO_PAIRS, Identified, finished
from datamodules.sources import ArraySource

NUM_FACES = 100
FACE_SIDE = 25
"""Side in pixels at which the faces are stored."""

_SIZES = {"train": 60, "val": 20, "test": 20}
_SHAPE = (2 * NUM_FACES, FACE_SIDE, FACE_SIDE)

DoubleArray = npt.NDArray[np.float64]


def read_faces(*, pictures_per_face: int, seed: int) -> Identified:
    """Read the faces, and make further pictures of each; the first one of each is the stored one.

    The first 60 faces are for training, the next 20 for validation and the others for test. They are a random
    choice from LFW, so that some may be of one person.

    Args:
        pictures_per_face: Pictures of each face, at least 2.
        seed: Decides how they differ.

    Returns:
        Grey pictures of 25x25.

    Raises:
        ValueError: If there are too few pictures, or the file is not as expected.
    """
    if pictures_per_face < 2:
        raise ValueError(f"data.pictures_per_face={pictures_per_face} must be at least 2, to make a pair")
    pictures = [
        face if number == 0 else altered(face, np.random.default_rng(stable_hash(seed, place, number)))
        for place, face in enumerate(_faces())
        for number in range(pictures_per_face)
    ]
    ends = np.cumsum([0, *_SIZES.values()]) * pictures_per_face
    data = Identified(
        title="face_patches",
        source=ArraySource(np.stack([_to_bytes(picture) for picture in pictures]), title="face_patches"),
        labels=np.repeat(np.arange(NUM_FACES), pictures_per_face),
        identity_names=[f"face {place}" for place in range(NUM_FACES)],
        splits={
            split: np.arange(start, end)
            for split, start, end in zip(_SIZES, ends[:-1], ends[1:], strict=True)
        },
        pairs=NO_PAIRS,
    )
    return finished(data, where=data.title, way_out="raise data.pictures_per_face")


def altered(face: DoubleArray, generator: np.random.Generator) -> DoubleArray:
    """Move, turn, scale, perhaps mirror, light and roughen one face.

    Args:
        face: (25, 25) in [0, 1].
        generator: Draws how.

    Returns:
        (25, 25), in [0, 1].
    """
    middle = (FACE_SIDE - 1) / 2
    angle, scale = generator.uniform(-15, 15), generator.uniform(0.88, 1.15)
    shift = generator.uniform(-2.5, 2.5, size=(2, 1))
    moved = cv2.getRotationMatrix2D((middle, middle), angle, scale) + shift * [0, 0, 1]
    source = face[:, ::-1] if generator.random() < 0.5 else face
    found = cv2.warpAffine(
        np.ascontiguousarray(source),
        moved,
        (FACE_SIDE, FACE_SIDE),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    across = np.linspace(-1, 1, FACE_SIDE)
    slope = generator.uniform(-0.25, 0.25, size=2)  # light from one side, or from above
    light = generator.uniform(-0.15, 0.15) + slope[0] * across[:, None] + slope[1] * across
    contrast = generator.uniform(0.7, 1.3)
    noise = generator.normal(0, generator.uniform(0, 0.04), size=found.shape)
    lit = (found - 0.5) * contrast + 0.5 + light + noise
    return np.asarray(lit.clip(0, 1), dtype=np.float64)


def _faces() -> DoubleArray:
    """The stored faces, (100, 25, 25) in [0, 1]; behind them the file has patches without faces."""
    path = shipped_path("skimage/lfw_subset.npy")
    stored = np.load(path, allow_pickle=False)
    if stored.shape != _SHAPE:
        raise ValueError(
            f"{path} has the shape {stored.shape} instead of {_SHAPE}; install the version of skimage that "
            "pyproject.toml names"
        )
    return np.asarray(stored[:NUM_FACES], dtype=np.float64)


def _to_bytes(picture: DoubleArray) -> ByteArray:
    return (picture * 255).round().astype(np.uint8)
