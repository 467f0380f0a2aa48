"""Colour photographs that ship with scikit-learn and scikit-image, so that every installation has them.

They are read where the packages keep them and are no part of this project; each package says beside its
files who took a photograph and what may be done with it.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from datamodules.arrays import ByteArray
from datamodules.images import read_image

_FOLDERS = {"sklearn": "datasets/images", "skimage": "data"}

PHOTOGRAPHS: dict[str, tuple[str, ...]] = {
    "train": (
        "sklearn/china.jpg",
        "sklearn/flower.jpg",
        "skimage/astronaut.png",
        "skimage/rocket.jpg",
        "skimage/motorcycle_left.png",
        "skimage/hubble_deep_field.jpg",
    ),
    "val": ("skimage/coffee.png", "skimage/ihc.png"),
    "test": ("skimage/chelsea.png", "skimage/retina.jpg"),
}
"""Package and file of the photographs of each split; what one shows is in no other."""


def read_photographs(split: str) -> list[ByteArray]:
    """Read the photographs of one split, each uint8 (H, W, 3), RGB, at least 300 pixels a side.

    Args:
        split: ``train``, ``val`` or ``test``.

    Raises:
        ValueError: If a package is missing, or does not have the file.
    """
    return [read_image(shipped_path(name)) for name in PHOTOGRAPHS[split]]


def photograph_names() -> dict[str, str]:
    """What people call the photographs, such as ``coffee``, with package and file of each."""
    return {Path(file).stem: file for files in PHOTOGRAPHS.values() for file in files}


def photographs_digest() -> str:
    """Sha256 over names and contents of all files, in hex.

    Raises:
        ValueError: If a package is missing, or does not have the file.
    """
    found = hashlib.sha256()
    for split, names in PHOTOGRAPHS.items():
        for name in names:
            found.update(f"{split} {name}\n".encode() + shipped_path(name).read_bytes())
    return found.hexdigest()


def shipped_path(name: str) -> Path:
    """Path of a file that ships with a package.

    Args:
        name: Package and file, such as ``skimage/coffee.png``.

    Raises:
        ValueError: If the package is missing, or does not have the file.
    """
    package, file = name.split("/")
    spec = find_spec(package)  # finds the folder without the seconds that an import takes
    if spec is None or spec.origin is None:
        raise ValueError(f"the photograph {name} ships with {package}, which is not installed")
    path = Path(spec.origin).parent / _FOLDERS[package] / file
    if not path.is_file():
        raise ValueError(f"{path} is missing; install the version of {package} that pyproject.toml names")
    return path
