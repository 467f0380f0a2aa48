"""Pictures in one folder and their masks in another, called alike."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from datamodules.images import IMAGE_ENDINGS
from datamodules.readers.mask_files import MASK_ENDINGS
from datamodules.readers.mask_pairs import Pairs
from datamodules.readers.problems import Place, Problem

_SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_LOSSY = IMAGE_ENDINGS - MASK_ENDINGS


class Folders(NamedTuple):
    """A folder of pictures and that of their masks.

    Attributes:
        images: The pictures.
        masks: The masks.
        group: The split; empty where it is still to be cut.
        named: The folders that are called as the split.
    """

    images: Path
    masks: Path
    group: str
    named: tuple[Path, ...] = ()


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
    outside = [folder for folder in _split_folders(root) if (folder / "images").is_dir()]
    if outside:
        return [Folders(one / "images", one / "masks", _split_of(one), (one,)) for one in outside]
    if (root / "images").is_dir():
        return folders_with_splits(root / "images", root / "masks")
    raise ValueError(
        f"data.data_dir={root} has neither images/ nor train/images/; name the folders with "
        "data.images_dir=... data.masks_dir=..."
    )


def folders_with_splits(images: Path, masks: Path) -> list[Folders]:
    """The folders of each split below a folder of pictures and one of masks; else these two.

    Raises:
        FileNotFoundError: If one is no folder.
    """
    _check_folder(images, key="data.images_dir")
    _check_folder(masks, key="data.masks_dir")
    found = []
    for folder in _split_folders(images):
        beside = _masks_folder(masks, folder.name)
        found.append(Folders(folder, beside, _split_of(folder), (folder, beside)))
    return found or [Folders(images, masks, "")]


def list_mask_folders(folders: list[Folders], *, root: Path, title: str, mask_suffix: str = "") -> Pairs:
    """Find the mask of each picture: it is called as the picture, whatever the endings.

    Folders below count, hidden files and folders do not.

    Args:
        folders: Those of pictures and masks.
        root: Folder the paths come to be relative to.
        title: Name of the data set.
        mask_suffix: What the name of a mask has behind that of its picture, such as ``_mask``.

    Raises:
        ValueError: If no picture has a mask.
    """
    pictures, masks, groups = [], [], []
    problems = _strays(folders)
    for images_dir, masks_dir, group, _ in folders:
        for image, mask, problem in _paired(images_dir, masks_dir, mask_suffix):
            if problem is None:
                pictures.append(_relative(image, root))
                masks.append(_relative(mask, root))
                groups.append(group)
            else:
                problems.append(problem)
    if not pictures:
        raise ValueError(
            f"no picture in {folders[0].images} has a mask of its name in {folders[0].masks}; name the "
            "folders with data.images_dir and data.masks_dir, and what masks have behind the name with "
            "data.mask_suffix"
        )
    return Pairs(title=title, root=root, pictures=pictures, masks=masks, groups=groups, problems=problems)


def _paired(images: Path, masks: Path, suffix: str) -> Iterator[tuple[Path, Path, Problem | None]]:
    """Picture and mask, or what is wrong with one of them."""
    found: dict[str, Path] = {}
    is_shared = images.resolve() == masks.resolve()
    masks = images if is_shared else masks  # so that a file has one path
    known = dict(_files(masks, MASK_ENDINGS))
    lossy = dict(_files(masks, _LOSSY))
    for key, path in _files(images, IMAGE_ENDINGS):
        if is_shared and _is_mask(key, path, suffix=suffix, lossy=lossy):
            continue
        mask = known.get(key + suffix)
        if mask == path:
            text = "has no other file of its name beside it, so that it is a picture or a mask, but not both"
        elif key in found:
            text = f"has the name of {found[key].name}, and a mask belongs to one picture only"
        elif mask is None and lossy.get(key + suffix, path) != path:
            text = f"its mask {lossy[key + suffix]} is stored with losses; save masks as PNG"
        else:
            text = "" if mask else f"has no mask {masks / (key + suffix)}.png"
        found.setdefault(key, path)
        yield path, mask or path, _problem(path, text) if text else None
    for name, path in known.items():
        key = name.removesuffix(suffix)
        if name.endswith(suffix) and key not in found:
            yield path, path, _problem(path, f"is a mask of no picture {images / key}.*")


def _is_mask(key: str, path: Path, *, suffix: str, lossy: Mapping[str, Path]) -> bool:
    """Whether a file in a folder of pictures and masks is a mask: by its name, or beside a JPEG."""
    if suffix:
        return key.endswith(suffix)
    return key in lossy and path.suffix.lower() in MASK_ENDINGS


def _split_folders(parent: Path) -> list[Path]:
    """The folders that are called as a split, whatever the case of their letters; training first."""
    order = list(_SPLIT_FOLDERS)
    found = [entry for entry in parent.iterdir() if entry.name.lower() in _SPLIT_FOLDERS and entry.is_dir()]
    return sorted(found, key=lambda entry: (order.index(entry.name.lower()), entry.name))


def _split_of(folder: Path) -> str:
    return _SPLIT_FOLDERS[folder.name.lower()]


def _masks_folder(masks: Path, name: str) -> Path:
    """The folder of masks that is called as one of pictures, or else as the same split."""
    split = _SPLIT_FOLDERS[name.lower()]
    same = [folder for folder in _split_folders(masks) if _split_of(folder) == split]
    same.sort(key=lambda folder: (folder.name != name, folder.name.lower() != name.lower()))
    return same[0] if same else masks / name


def _strays(folders: list[Folders]) -> list[Problem]:
    """Pictures and masks beside folders of splits: nobody says which split they belong to."""
    named = [folder for one in folders for folder in one.named if folder.is_dir()]
    used = [folder.resolve() for one in folders for folder in (*one.named, one.images, one.masks)]
    found = []
    for parent in dict.fromkeys(folder.parent for folder in named):
        names = sorted({folder.name for folder in named if folder.parent == parent})
        text = f"lies beside the folders of splits {names}; move it into one, or into train, val or test"
        for entry in sorted(parent.iterdir()):
            if not any(folder.is_relative_to(entry.resolve()) for folder in used):
                found += [_problem(path, text) for path in _pictures_at(entry)]
    return found


def _pictures_at(entry: Path) -> list[Path]:
    """Pictures and masks below a folder, or the file if it is one; hidden ones do not count."""
    endings = IMAGE_ENDINGS | MASK_ENDINGS
    if entry.name.startswith("."):
        return []
    if entry.is_dir():
        return [path for _, path in _files(entry, endings)]
    return [entry] if entry.suffix.lower() in endings else []


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
