"""Pictures sorted into one folder per class."""

import os
from collections.abc import Sequence
from pathlib import Path

from datamodules.images import IMAGE_ENDINGS
from datamodules.readers.listing import Listing

SPLIT_FOLDERS = ("train", "val", "test")


def list_folders(
    root: Path,
    *,
    splits: Sequence[str] = SPLIT_FOLDERS,
    key: str = "data.data_dir",
    are_identities: bool = False,
) -> Listing:
    """List ``root/train|val|test/<class>/`` where there is ``root/train``, else ``root/<class>/``.

    Folders below a class belong to it. Hidden files and folders, and files without an ending of
    pictures, are left alone.

    Args:
        root: The folder.
        splits: Names of the split folders to look for; without any, every folder is a class.
        key: What the folder is called in the configuration, for messages.
        are_identities: Whether a folder is an identity, of which splits need not have the same ones.

    Returns:
        Files in order of split, class and path. Without ``root/train`` no file has a split yet; with
        it, files of ``train`` have none where another split folder is missing, so that it can be cut
        from them.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no classes, a class has no pictures, or the splits differ in classes.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"{key}={root} ({root.resolve()}) is no folder; set it to the one with the pictures"
        )
    words = ("identity", "identities") if are_identities else ("class", "classes")
    if not splits or not (root / "train").is_dir():
        return _to_listing(root, {"": _classes(root, words)})
    found = {split: _classes(root / split, words) for split in splits if (root / split).is_dir()}
    if not are_identities:
        _check_same_classes(found, root)
    if len(found) < len(splits):
        found = {"" if split == "train" else split: classes for split, classes in found.items()}
    return _to_listing(root, found)


def _classes(folder: Path, words: tuple[str, str]) -> dict[str, list[Path]]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise ValueError(
            f"{folder} has no folders, but needs one for each {words[0]} with its pictures inside"
        )
    classes = {name: list_pictures(folder / name) for name in names}
    empty = [name for name, pictures in classes.items() if not pictures]
    if empty:
        raise ValueError(
            f"{folder} has no pictures for the {words[1]} {empty[:5]}; add some or remove the folders"
        )
    return classes


def list_pictures(folder: Path) -> list[Path]:
    """Files with endings of pictures in a folder and below it, by path; hidden ones are left alone."""
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = sorted(name for name in files if not name.startswith("."))
        found += [Path(parent, name) for name in names if os.path.splitext(name)[1].lower() in IMAGE_ENDINGS]
    return found


def _check_same_classes(found: dict[str, dict[str, list[Path]]], root: Path) -> None:
    wanted = set(found["train"])
    for split, classes in found.items():
        missing, unexpected = sorted(wanted - set(classes)), sorted(set(classes) - wanted)
        if missing or unexpected:
            raise ValueError(
                f"{root / split} has other classes than {root / 'train'}: missing {missing[:5]}, "
                f"unexpected {unexpected[:5]}; every split needs a folder for each class"
            )


def _to_listing(root: Path, found: dict[str, dict[str, list[Path]]]) -> Listing:
    names = sorted({name for classes in found.values() for name in classes})
    number = {name: label for label, name in enumerate(names)}
    rows = [
        (picture.relative_to(root).as_posix(), number[name], split)
        for split, classes in found.items()
        for name, pictures in classes.items()
        for picture in pictures
    ]
    paths, labels, groups = zip(*rows, strict=True)
    return Listing(
        title=root.resolve().name, root=root, class_names=names, paths=paths, labels=labels, groups=groups
    )
