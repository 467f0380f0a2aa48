"""Image files that a person names: found, and missed before anything heavy is imported."""

import glob
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import Mistake

ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
"""Of what is taken for an image when a folder is searched."""


def find_images(pattern: str) -> list[Path]:
    """The image files that `input=` means, sorted.

    Args:
        pattern: A file, a folder, or a glob.

    Raises:
        Mistake: Nothing is there, or nothing that looks like an image.
    """
    check_images(pattern)
    return sorted(_images(pattern))


def check_images(pattern: str) -> None:
    """Look whether `input=` means any image file, no farther than to the first; see `find_images`."""
    if next(_images(pattern), None) is None:
        raise Mistake(
            f"input={pattern}: no images here; give a file, a folder or a glob in quotes ({shown_endings()})"
        )


def image_file(key: str, given: str) -> Path:
    """The one image file that a key means.

    Args:
        key: What the person typed it as.
        given: Its path.

    Raises:
        Mistake: No file is there.
    """
    path = Path(given).expanduser()
    if not path.is_file():
        wrong = "is a folder" if path.is_dir() else "is not there"
        raise Mistake(f"{key}={given} {wrong}; give an image file")
    return path


def is_image(path: Path) -> bool:
    """Whether a file's name says that it is an image."""
    return path.suffix.lower() in ENDINGS


def shown_endings() -> str:
    """The endings of images, for messages."""
    return " ".join(sorted(ENDINGS))


def _images(pattern: str) -> Iterator[Path]:
    path = Path(pattern).expanduser()
    if path.is_file():
        yield path  # whatever it is called
        return
    found = path.rglob("*") if path.is_dir() else map(Path, glob.iglob(str(path), recursive=True))
    yield from filter(is_image, found)
