"""Which image files are of which person, as `make enroll` is told."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import Mistake
from pipeline.image_files import find_images, is_image, shown_endings

UNKNOWN = "unknown"
"""What `make identify` answers where nobody is near enough."""


@dataclass(frozen=True, kw_only=True)
class People:
    """Whom a person wants to be known.

    Attributes:
        images: Files with the identity of each.
        empty: Identities whose folders hold no images.
    """

    images: Mapping[Path, str]
    empty: Sequence[str] = ()


def find_people(pattern: str, *, identity: str | None) -> People:
    """Image files with the identity of each.

    Args:
        pattern: A folder with a folder for each identity; with a name also a file, a folder or a glob.
        identity: The person that all images are of; None: their folders' names.

    Raises:
        Mistake: There are no images, or it is not clear whom they show.
    """
    if identity is not None:
        name = named(identity, key=f"identity={identity}")
        return People(images=dict.fromkeys(find_images(pattern), name))
    folder = Path(pattern).expanduser()
    if not folder.is_dir():
        find_images(pattern)  # says where nothing is there at all
        raise Mistake(
            f"input={pattern} does not say whom it shows; give a folder with a folder for each identity, or "
            "identity=NAME for images of one person"
        )
    _refuse_loose_images(folder)
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    names = {path: named(path.name, key=f"input={pattern}: {path.name}/") for path in inner}
    found = {path: _images_of(path) for path in inner}
    if not any(found.values()):
        raise Mistake(
            f"input={pattern}: no images here; they lie as {folder}/NAME/*.jpg ({shown_endings()}), a folder "
            "for each identity"
        )
    return People(
        images={file: names[path] for path, files in found.items() for file in files},
        empty=[names[path] for path, files in found.items() if not files],
    )


def named(identity: str, *, key: str) -> str:
    """A name as galleries have it: letters that look the same are the same, whatever system wrote them.

    Args:
        identity: As it was typed, or the name of a folder.
        key: What a message begins with.

    Raises:
        Mistake: It is empty, or what `make identify` says of strangers.
    """
    name = unicodedata.normalize("NFC", identity).strip()
    if not name:
        raise Mistake(f"{key} is an empty name; give one")
    if name == UNKNOWN:
        raise Mistake(f"{key} cannot be a name: make identify answers {UNKNOWN} for strangers; take another")
    return name


def _refuse_loose_images(folder: Path) -> None:
    loose = [path.name for path in sorted(folder.iterdir()) if path.is_file() and is_image(path)]
    if loose:
        more = f" and {len(loose) - 1} more" if len(loose) > 1 else ""
        raise Mistake(
            f"input={folder}: {loose[0]}{more} directly in it, so that it does not say whom they show; put "
            f"them into a folder for each identity, or give identity=NAME if all are of one person"
        )


def _images_of(folder: Path) -> list[Path]:
    """The images directly in a folder.

    Raises:
        Mistake: They lie one deeper, so that this folder is not that of a person.
    """
    images = sorted(path for path in folder.iterdir() if path.is_file() and is_image(path))
    deeper = next((path for path in sorted(folder.glob("*/*")) if is_image(path)), None)
    if deeper and not images:
        raise Mistake(
            f"input={folder.parent}: {folder.name}/ holds folders with images, so that it is not one "
            f"person's; give input={folder}, or identity=NAME if all images in a folder are of one person"
        )
    return images
