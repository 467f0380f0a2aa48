"""Cityscapes (https://arxiv.org/abs/1604.01685): streets of 50 cities, with fine labels."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.readers.mask_classes import Said
from datamodules.readers.mask_pairs import Pairs
from datamodules.readers.problems import Place, Problem

# Name, id in the files and colour of the 19 classes that are measured, in the order of their train ids.
# fmt: off
CITYSCAPES_CLASSES: tuple[tuple[str, int, tuple[int, int, int]], ...] = (
    ("road", 7, (128, 64, 128)), ("sidewalk", 8, (244, 35, 232)), ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)), ("fence", 13, (190, 153, 153)), ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)), ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)), ("terrain", 22, (152, 251, 152)), ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)), ("rider", 25, (255, 0, 0)), ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)), ("bus", 28, (0, 60, 100)), ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)), ("bicycle", 33, (119, 11, 32)),
)
# fmt: on
_NUM_IDS = 34
_OTHERS = sorted({*range(_NUM_IDS), 255} - {number for _, number, _ in CITYSCAPES_CLASSES})

CITYSCAPES_MASKS = Said(
    names=tuple(name for name, _, _ in CITYSCAPES_CLASSES),
    values=tuple(number for _, number, _ in CITYSCAPES_CLASSES),
    ignored=tuple(_OTHERS),
    shown=tuple(colour for _, _, colour in CITYSCAPES_CLASSES),
)
"""The other ids, such as the own car and license plates, do not count."""

_PICTURE, _MASK = "_leftImg8bit.png", "_gtFine_labelIds.png"


def list_cityscapes(root: Path, splits: Sequence[str]) -> Pairs:
    """Pictures ``leftImg8bit/<split>/<city>/*`` with their masks ``gtFine/<split>/<city>/*``.

    Args:
        root: Folder with ``leftImg8bit/`` and ``gtFine/``.
        splits: Those to list.
    """
    pictures, masks, groups = [], [], []
    problems: list[Problem] = []
    for split in splits:
        labels = {_key(path, root / "gtFine", _MASK): path for path in _files(root / "gtFine" / split, _MASK)}
        for path in _files(root / "leftImg8bit" / split, _PICTURE):
            mask = labels.pop(_key(path, root / "leftImg8bit", _PICTURE), None)
            if mask is None:
                problems.append(_problem(path, "has no mask below gtFine/"))
                continue
            pictures.append(path.relative_to(root).as_posix())
            masks.append(mask.relative_to(root).as_posix())
            groups.append(split)
        problems += [_problem(path, "is a mask of no picture below leftImg8bit/") for path in labels.values()]
    return Pairs(
        title="cityscapes", root=root, pictures=pictures, masks=masks, groups=groups, problems=problems
    )


def _files(folder: Path, ending: str) -> list[Path]:
    return sorted(folder.glob(f"*/*{ending}"))


def _key(path: Path, folder: Path, ending: str) -> str:
    return path.relative_to(folder).as_posix().removesuffix(ending)


def _problem(path: Path, text: str) -> Problem:
    return Problem(Place(str(path), None, ""), text)
