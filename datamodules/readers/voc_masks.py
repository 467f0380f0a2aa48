"""PASCAL VOC 2012's segmentation (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf)."""

from collections.abc import Mapping
from pathlib import Path

from datamodules.palettes import voc_palette
from datamodules.readers.mask_classes import Said
from datamodules.readers.mask_pairs import Pairs
from datamodules.readers.voc_folders import stems
from datamodules.readers.voc_xml import VOC_CLASSES

YEAR = "VOC2012"
IMAGE_SETS = "Segmentation"
VOC_MASKS = Said(
    names=("background", *VOC_CLASSES),
    values=range(1 + len(VOC_CLASSES)),
    shown=voc_palette(1 + len(VOC_CLASSES)),
)
"""Indices of the masks are class ids; 255 is the line around objects and what is hard to tell."""


def list_voc_masks(root: Path, sets: Mapping[str, tuple[str, str]]) -> Pairs:
    """Pictures that image sets name, with their masks.

    Args:
        root: The folder ``VOCdevkit``.
        sets: For each split, name of the image set and of the folder with the masks.

    Raises:
        FileNotFoundError: If there is no such image set.
    """
    folder = root / YEAR
    rows = [
        (f"{YEAR}/JPEGImages/{stem}.jpg", f"{YEAR}/{masks}/{stem}.png", group)
        for group, (name, masks) in sets.items()
        for _, stem in stems(folder / "ImageSets" / IMAGE_SETS / f"{name}.txt")
    ]
    pictures, paths, groups = zip(*rows, strict=True) if rows else ((), (), ())
    return Pairs(title="voc_masks", root=root, pictures=pictures, masks=paths, groups=groups)
