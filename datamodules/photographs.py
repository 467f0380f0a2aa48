"""Single photographs by file or name, and folders of them without classes."""

import hashlib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import cv2
import numpy as np

from datamodules.arrays import ByteArray
from datamodules.embedded.photographs import PHOTOGRAPHS, photograph_names, shipped_path
from datamodules.images import check_shape, read_image
from datamodules.readers.folders import SPLIT_FOLDERS, list_pictures
from datamodules.readers.labelled import Labelled
from datamodules.readers.listing import Cut, Listing, OnError, to_labelled


class PhotographSource:
    """A few photographs, each read when it is asked for; see `read_photograph`.

    Args:
        words: Files, or names of embedded photographs.
        key: Where they stand in the configuration, for messages.
    """

    def __init__(self, words: Sequence[str], *, key: str) -> None:
        self._words = list(words)
        self._key = key

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self._words)

    def read(self, position: int) -> ByteArray:
        """RGB picture, uint8 HWC.

        Raises:
            ValueError: If the file is missing or no whole picture, or there is no such name.
        """
        return read_photograph(self._words[position], key=self._key)

    def name(self, position: int) -> str:
        """The file or name."""
        return self._words[position]

    def digest(self) -> str:
        """Sha256 of the contents of all files, in hex."""
        found = hashlib.sha256()
        for word in self._words:
            found.update(hashlib.sha256(path_of_photograph(word, key=self._key).read_bytes()).digest())
        return found.hexdigest()


def path_of_photograph(word: str, *, key: str) -> Path:
    """Find a photograph.

    Args:
        word: Name of an embedded photograph, such as ``coffee``, or else a file; ``./coffee`` is a file.
        key: Where the word stands in the configuration, for messages.

    Raises:
        ValueError: If it is neither.
    """
    names = photograph_names()
    if word in names:
        return shipped_path(names[word])
    path = Path(word)
    if path.is_file():
        return path
    if path.is_dir():
        raise ValueError(
            f"{key}={word} is a folder, but one picture is wanted: give a file in it; "
            "a network for a whole folder is trained by data=content_folder data.content_dir=<folder>"
        )
    near = get_close_matches(path.stem, names, n=1)
    hint = f"did you mean {near[0]}?" if near else "correct the path;"
    raise ValueError(
        f"{key}={word} ({path.resolve()}) is no file and no embedded photograph; {hint} "
        f"the embedded ones are {', '.join(names)}"
    )


def read_photograph(word: str, *, key: str) -> ByteArray:
    """Read a photograph, uint8 (H, W, 3), RGB, as `read_image` does.

    Args:
        word: As for `path_of_photograph`.
        key: Where the word stands in the configuration, for messages.

    Raises:
        ValueError: If it cannot be found or read, or is far too elongated.
    """
    path = path_of_photograph(word, key=key)
    try:
        picture = read_image(path)
    except ValueError as error:
        raise ValueError(
            f"{key}={word}: {error}; give a whole JPEG or PNG, or the name of an embedded photograph such as "
            "coffee"
        ) from error
    problem = check_shape(*picture.shape[:2])
    if problem:
        raise ValueError(f"{key}={word} {problem}")
    return picture


def embedded_photographs(*, without: Sequence[str]) -> Labelled:
    """The photographs that every installation has, all of one class, in their splits.

    Args:
        without: Names of those that are the style, which are left out.

    Raises:
        ValueError: If nothing is left of a split.
    """
    chosen = {
        split: [name for name in map(_name_of, files) if name not in without]
        for split, files in PHOTOGRAPHS.items()
    }
    empty = [split for split, names in chosen.items() if not names]
    if empty:
        raise ValueError(
            f"data.style={list(without)} leaves none of the embedded photographs for {empty[0]}; choose "
            "fewer or others, or set data.content_dir to a folder with photographs"
        )
    words = [name for names in chosen.values() for name in names]
    ends = np.cumsum([len(names) for names in chosen.values()])
    positions = np.split(np.arange(len(words)), ends[:-1])
    return Labelled(
        title="embedded photographs",
        source=PhotographSource(words, key="embedded photograph"),
        labels=np.zeros(len(words), dtype=np.int64),
        class_names=["photograph"],
        splits=dict(zip(chosen, positions, strict=True)),
    )


def list_photographs(root: Path, *, key: str, cut: Cut, on_error: OnError) -> Labelled:
    """List the photographs in and below a folder, all of one class.

    Where there is ``root/train``, its pictures train, and those of ``root/val`` and ``root/test`` are
    measured; of a folder that is missing, and without ``root/train``, the pictures are cut at random.

    Args:
        root: The folder.
        key: What the folder is called in the configuration, for messages.
        cut: How pictures without a split are dealt out.
        on_error: ``skip`` leaves out what cannot be read; every file is read once to find it.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no pictures, or too few for three splits.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"{key}={root} ({root.resolve()}) is no folder; set it to the one with the pictures, or to null "
            "for embedded photographs"
        )
    found = _of_splits(root) if (root / "train").is_dir() else {"": list_pictures(root)}
    rows = [(path.relative_to(root).as_posix(), group) for group, paths in found.items() for path in paths]
    if not rows:
        raise ValueError(
            f"{key}={root} ({root.resolve()}) has no pictures; put JPEGs or PNGs into it, or set it to null "
            "for embedded photographs"
        )
    listing = Listing(
        title=root.resolve().name,
        root=root,
        class_names=["photograph"],
        paths=[path for path, _ in rows],
        labels=[0] * len(rows),
        groups=[group for _, group in rows],
    )
    own = Cut(
        val=0.0 if "val" in found else cut.val, test=0.0 if "test" in found else cut.test, seed=cut.seed
    )
    return to_labelled(listing, cut=own, on_error=on_error)


def resized(picture: ByteArray, *, longer_side: int) -> ByteArray:
    """Resize a picture so that its longer side has so many pixels; the shape is kept.

    Args:
        picture: uint8 (H, W, 3).
        longer_side: Pixels of the longer side; the shorter has at least one.
    """
    height, width = picture.shape[:2]
    factor = longer_side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == (width, height):
        return picture
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), dtype=np.uint8)


def shrunk(picture: ByteArray, *, longer_side: int) -> ByteArray:
    """The same for a picture that is larger; a smaller one keeps its size."""
    return resized(picture, longer_side=min(longer_side, max(picture.shape[:2])))


def _name_of(file: str) -> str:
    return Path(file).stem


def _of_splits(root: Path) -> dict[str, list[Path]]:
    """Pictures by split; those of ``train`` have none yet where another folder is missing."""
    found = {split: list_pictures(root / split) for split in SPLIT_FOLDERS if (root / split).is_dir()}
    if len(found) == len(SPLIT_FOLDERS):
        return found
    return {"" if split == "train" else split: paths for split, paths in found.items()}
