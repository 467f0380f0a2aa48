"""Where the files of PASCAL VOC lie: in the devkit's folders, or in a folder of people's own."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from datamodules.images import IMAGE_ENDINGS
from datamodules.readers.problems import Place
from datamodules.readers.voc_xml import VocFile

SPLITS = ("train", "val", "test")
_PICTURE_FOLDERS = ("JPEGImages", "images", "Images")


def devkit_files(root: Path, sets: Mapping[str, Sequence[str]]) -> list[VocFile]:
    """Annotations that image sets of the devkit name.

    Args:
        root: The folder ``VOCdevkit``.
        sets: Image sets of each split, such as ``VOC2007/trainval``.

    Raises:
        FileNotFoundError: If there is no such image set.
    """
    found = []
    for group, names in sets.items():
        for name in names:
            year, image_set = name.split("/")
            path = root / year / "ImageSets" / "Main" / f"{image_set}.txt"
            for line, stem in stems(path):
                place = Place(str(path), line, stem)
                xml = root / year / "Annotations" / f"{stem}.xml"
                found.append(VocFile(xml, f"{year}/JPEGImages/{stem}.jpg", group, place))
    return found


def folder_files(root: Path) -> list[VocFile]:
    """Annotations in a folder of people's own.

    They are ``root/Annotations/**/*.xml``, or ``root/**/*.xml`` where there is no such folder. Where there
    are image sets (``root/ImageSets/Main/train.txt`` and so on), they say which of them are for what. Their
    pictures are in ``JPEGImages`` or ``images``, or beside the annotations.

    Args:
        root: The folder.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no annotations.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"data.data_dir={root} ({root.resolve()}) is no folder; set it to the one with the annotations"
        )
    folder = root / "Annotations" if (root / "Annotations").is_dir() else root
    pictures = _pictures(root, folder)
    sets = root / "ImageSets" / "Main"
    named = {split: sets / f"{split}.txt" for split in SPLITS if (sets / f"{split}.txt").is_file()}
    if not named:
        paths = sorted(path for path in folder.rglob("*.xml") if not _is_hidden(path.relative_to(root)))
        if not paths:
            raise ValueError(f"data.data_dir={root} has no *.xml files")
        places = [(path, "", Place(str(path), None, "")) for path in paths]
    else:
        places = [
            (folder / f"{stem}.xml", split, Place(str(path), line, stem))
            for split, path in named.items()
            for line, stem in stems(path)
        ]
    return [VocFile(xml, _picture(xml, folder, root, pictures), group, place) for xml, group, place in places]


def stems(path: Path) -> list[tuple[int, str]]:
    """Lines and names in an image set; a second column (of an image set of one class) is left alone.

    Args:
        path: The text file.

    Raises:
        FileNotFoundError: If there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no image set {path} ({path.resolve()})")
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [(number, line.split()[0]) for number, line in enumerate(lines, start=1) if line.strip()]


def _pictures(root: Path, folder: Path) -> dict[str, str]:
    """Paths of pictures, relative to the root, by their path without ending below where they lie."""
    base = next((root / name for name in _PICTURE_FOLDERS if (root / name).is_dir()), folder)
    found = {}
    for parent, folders, names in os.walk(base, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in IMAGE_ENDINGS:
                path = Path(parent, name)
                found[path.relative_to(base).with_suffix("").as_posix()] = path.relative_to(root).as_posix()
    return found


def _picture(xml: Path, folder: Path, root: Path, pictures: Mapping[str, str]) -> str:
    """The picture that is called as the annotation, else the one that it names."""
    key = xml.relative_to(folder).with_suffix("")
    if key.as_posix() in pictures:
        return pictures[key.as_posix()]
    named = _named(xml)
    by_name = (key.parent / Path(named).stem).as_posix()
    base = next((name for name in _PICTURE_FOLDERS if (root / name).is_dir()), "")
    return pictures.get(by_name, (Path(base) / (named or f"{key.as_posix()}.jpg")).as_posix())


def _named(xml: Path) -> str:
    try:
        return (ElementTree.parse(xml).findtext("filename") or "").strip()
    except (OSError, ElementTree.ParseError):
        return ""


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
