"""Paths of COCO files of people's own, and what to say about wrong ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from datamodules.readers.coco_json import CocoPart
from datamodules.readers.objects import RawObjects

_KEYS = {
    "train": ("data.annotations", "data.images_dir"),
    "val": ("data.val_annotations", "data.val_images_dir"),
    "test": ("data.test_annotations", "data.test_images_dir"),
}


def parts_of(
    images_dir: str,
    annotations: Mapping[str, str | None],
    *,
    val_images_dir: str | None,
    test_images_dir: str | None,
) -> list[CocoPart]:
    """The annotation files that are given, with the folders of their pictures.

    Args:
        images_dir: Folder of the pictures.
        annotations: JSON file of each split; None where there is none.
        val_images_dir: Where the pictures for validation lie elsewhere.
        test_images_dir: Where the pictures for testing lie elsewhere.
    """
    folders = {"val": val_images_dir, "test": test_images_dir}
    return [
        CocoPart(annotations=Path(file), images_dir=Path(folders.get(split) or images_dir), group=split)
        for split, file in annotations.items()
        if file is not None
    ]


def check_annotations(parts: Sequence[CocoPart]) -> None:
    """Look whether the annotation files are there.

    Args:
        parts: One for each split.

    Raises:
        FileNotFoundError: If one is not; the message names its key.
    """
    for part in parts:
        if not part.annotations.is_file():
            key, file = _KEYS[part.group][0], part.annotations
            cut = "" if part.group == "train" else f", or to null to cut {part.group} from training"
            raise FileNotFoundError(
                f"{key}={file} ({file.resolve()}) is no file; set it to the JSON file{cut}"
            )


def check_folders(parts: Sequence[CocoPart], raw: RawObjects) -> None:
    """Look whether any picture is there: where none is, the folder is wrong and not the pictures.

    Args:
        parts: One for each split.
        raw: What was read of them.

    Raises:
        FileNotFoundError: If all pictures of a part are missing; the message names the key of its folder.
    """
    for part in parts:
        paths = [path for path, group in zip(raw.paths, raw.groups, strict=True) if group == part.group]
        if paths and not any((raw.root / path).is_file() for path in paths):
            key, folder = _KEYS[part.group][1], part.images_dir
            raise FileNotFoundError(
                f"{folder} ({folder.resolve()}) has none of the {len(paths)} pictures of {part.annotations}, "
                f"such as {raw.root / paths[0]}; set {key} to the folder that the file names are relative to"
            )
