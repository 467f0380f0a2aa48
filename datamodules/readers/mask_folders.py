"""Pictures in one folder and their masks in another, called alike."""

import os
from collections.abc import Iterator
from pathlib import Path

from datamodules.images import IMAGE_ENDINGS
from datamodules.readers.mask_files import MASK_ENDINGS
from datamodules.readers.mask_pairs import Pairs
from datamodules.readers.problems import Place, Problem

_SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_LOSSY = IMAGE_ENDINGS - MASK_ENDINGS

Folders = tuple[Path, Path, str]


def folders_below(root: Path) -> list[Folders]:
    """Folders of pictures and of masks with their split, below one folder.

    They are ``images/<split>/`` and ``masks/<split>/``, or ``<split>/images/`` and ``<split>/masks/``, or
    without splits ``images/`` and ``masks/``.

    Args:
        root: The folder.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is laid out in another way.
    """
    _check_folder(root, key="data.data_dir")
    outside = [name for name in _SPLIT_FOLDERS if (root / name / "images").is_dir()]
    found = [(root / name / "images", root / name / "masks", _SPLIT_FOLDERS[name]) for name in outside]
    if (root / "images").is_dir():
        found += folders_with_splits(root / "images", root / "masks")
    if not found:
        raise ValueError(
            f"data.data_dir={root} has neither images/ nor train/images/; name the folders with "
            "data.images_dir=... data.masks_dir=..."
        )
    return found


def folders_with_splits(images: Path, masks: Path) -> list[Folders]:
    """The folders of each split below a folder of pictures and one of masks; else these two.

    Raises:
        FileNotFoundError: If one is no folder.
    """
    _check_folder(images, key="data.images_dir")
    _check_folder(masks, key="data.masks_dir")
    names = [name for name in _SPLIT_FOLDERS if (images / name).is_dir()]
    found = [(images / name, masks / name, _SPLIT_FOLDERS[name]) for name in names]
    return found or [(images, masks, "")]


def list_mask_folders(folders: list[Folders], *, root: Path, title: str, mask_suffix: str = "") -> Pairs:
    """Find the mask of each picture: it is called as the picture, whatever the endings.

    Folders below count, hidden files and folders do not.

    Args:
        folders: Pictures, masks and split; an empty split is still to be cut.
        root: Folder the paths come to be relative to.
        title: Name of the data set.
        mask_suffix: What the name of a mask has behind that of its picture, such as ``_mask``.

    Raises:
        ValueError: If no picture has a mask.
    """
    pictures, masks, groups, problems = [], [], [], []
    for images_dir, masks_dir, group in folders:
        for image, mask, problem in _paired(images_dir, masks_dir, mask_suffix):
            if problem is None:
                pictures.append(_relative(image, root))
                masks.append(_relative(mask, root))
                groups.append(group)
            else:
                problems.append(problem)
    if not pictures:
        raise ValueError(
            f"no picture in {folders[0][0]} has a mask of its name in {folders[0][1]}; name the folders with "
            "data.images_dir and data.masks_dir, and what masks have behind the name with data.mask_suffix"
        )
    return Pairs(title=title, root=root, pictures=pictures, masks=masks, groups=groups, problems=problems)


def _paired(images: Path, masks: Path, suffix: str) -> Iterator[tuple[Path, Path, Problem | None]]:
    """Picture and mask, or what is wrong with one of them."""
    found: dict[str, Path] = {}
    known = dict(_files(masks, MASK_ENDINGS))
    lossy = dict(_files(masks, _LOSSY)) if masks != images else {}
    for key, path in _files(images, IMAGE_ENDINGS):
        if masks == images and suffix and key.endswith(suffix):
            continue
        mask = known.get(key + suffix)
        if key in found:
            text = f"has the name of {found[key].name}, and a mask belongs to one picture only"
        elif mask is None and key + suffix in lossy:
            text = f"its mask {lossy[key + suffix]} is stored with losses; save masks as PNG"
        else:
            text = "" if mask else f"has no mask {masks / (key + suffix)}.png"
        found.setdefault(key, path)
        yield path, mask or path, _problem(path, text) if text else None
    for name, path in known.items():
        key = name.removesuffix(suffix)
        if name.endswith(suffix) and key not in found:
            yield path, path, _problem(path, f"is a mask of no picture {images / key}.*")


def _files(folder: Path, endings: frozenset[str]) -> Iterator[tuple[str, Path]]:
    """Path without ending, relative to the folder, and whole path; sorted."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() in endings:
                yield path.relative_to(folder).with_suffix("").as_posix(), path


def _problem(path: Path, text: str) -> Problem:
    return Problem(Place(str(path), None, ""), text)


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _check_folder(folder: Path, *, key: str) -> None:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} ({folder.resolve()}) is no folder; set {key} to the one with the files"
        )
