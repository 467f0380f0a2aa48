"""Small segmentation data in their true formats: pictures whose colours say the class of each pixel."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from datamodules.arrays import ByteArray
from datamodules.palettes import voc_palette
from tests.datamodules.box_writers import HEIGHT, WIDTH, write_coco_json, write_image

COLOURS = np.array([[90, 100, 110], [220, 40, 40], [40, 40, 220]], dtype=np.uint8)
"""What background and the two classes look like in the pictures."""
IGNORED_LOOKS = np.array([250, 250, 250], dtype=np.uint8)
PALETTE = [[0, 0, 0], [255, 0, 0], [0, 0, 255]]
"""Colours of the classes in colour masks."""
SPLITS = {"train": 6, "val": 3, "test": 3}
CITYSCAPES_IDS = np.array([7, 26, 4], dtype=np.uint8)  # road, car, static, which does not count

Writer = Callable[[Path, ByteArray], Path]


@dataclass(frozen=True)
class MaskScene:
    """A picture and its mask: background, in turn a rectangle of class 1 or 2, or both, and a line of 255."""

    number: int
    split: str

    @property
    def name(self) -> str:
        """Split and number."""
        return f"{self.split or 'all'}_{self.number}"

    def mask(self) -> ByteArray:
        """uint8 (56, 64), class ids."""
        found = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        left = 4 + self.number % 5
        if self.number % 3 != 1:
            found[10:30, left : left + 20] = 1
        if self.number % 3 != 0:
            found[20:44, left + 24 : left + 44] = 2
        found[50, :] = 255
        return found

    def picture(self) -> ByteArray:
        """uint8 (56, 64, 3), RGB."""
        table = np.vstack([COLOURS, np.tile(IGNORED_LOOKS, (253, 1))])
        return np.asarray(table[self.mask()], dtype=np.uint8)


def mask_scenes(splits: Mapping[str, int] = SPLITS) -> list[MaskScene]:
    """All scenes of all splits."""
    return [MaskScene(number, split) for split, count in splits.items() for number in range(count)]


def write_index(path: Path, mask: ByteArray) -> Path:
    """A PNG with VOC's palette, whose indices are the class ids."""
    picture = Image.fromarray(mask)
    picture.putpalette([value for colour in voc_palette(256) for value in colour])
    assert picture.mode == "P"
    return _saved(path, picture)


def write_grey(path: Path, mask: ByteArray) -> Path:
    """A PNG whose grey values are the class ids."""
    return _saved(path, Image.fromarray(mask))


def write_three_channels(path: Path, mask: ByteArray) -> Path:
    """A PNG whose three channels all are the class ids."""
    return _saved(path, Image.fromarray(np.stack([mask] * 3, axis=-1)))


def write_16_bits(path: Path, mask: ByteArray) -> Path:
    """A grey PNG of 16 bits."""
    return _saved(path, Image.fromarray(mask.astype(np.uint16)))


def write_colours(path: Path, mask: ByteArray) -> Path:
    """A PNG with a colour for each class, and VOC's cream for what does not count."""
    table = np.full((256, 3), (224, 224, 192), dtype=np.uint8)
    table[: len(PALETTE)] = PALETTE
    return _saved(path, Image.fromarray(table[mask]))


def write_image_masks(
    root: Path, *, splits: Mapping[str, int] = SPLITS, write: Writer = write_index, suffix: str = ""
) -> Path:
    """``images/<split>/`` and ``masks/<split>/``; without folders for the split without a name."""
    for scene in mask_scenes(splits):
        write_image(root / "images" / scene.split / f"{scene.name}.png", scene.picture())
        write(root / "masks" / scene.split / f"{scene.name}{suffix}.png", scene.mask())
    return root


def write_voc_masks(root: Path, *, splits: Mapping[str, int] = {"train": 6, "val": 3}) -> Path:
    """``VOCdevkit/VOC2012`` with JPEGs, masks with VOC's palette, and image sets."""
    devkit = root / "VOCdevkit" / "VOC2012"
    for scene in mask_scenes(splits):
        write_image(devkit / "JPEGImages" / f"{scene.name}.jpg", scene.picture())
        write_index(devkit / "SegmentationClass" / f"{scene.name}.png", scene.mask())
        sets = devkit / "ImageSets" / "Segmentation"
        sets.mkdir(parents=True, exist_ok=True)
        with (sets / f"{scene.split}.txt").open("a") as file:
            file.write(f"{scene.name}\n")
    return root


def write_cityscapes(root: Path) -> Path:
    """``leftImg8bit`` and ``gtFine`` with the files that the archives have, those for testing included."""
    for scene in mask_scenes({"train": 6, "val": 3, "test": 2}):
        city = "aachen" if scene.number % 2 else "bochum"
        stem = f"{scene.split}/{city}/{city}_{scene.number:06}_000019"
        write_image(root / "leftImg8bit" / f"{stem}_leftImg8bit.png", scene.picture())
        ids = np.append(CITYSCAPES_IDS, np.zeros(253, dtype=np.uint8))[scene.mask()]
        write_grey(root / "gtFine" / f"{stem}_gtFine_labelIds.png", ids)
        write_16_bits(root / "gtFine" / f"{stem}_gtFine_instanceIds.png", ids)
        write_colours(root / "gtFine" / f"{stem}_gtFine_color.png", scene.mask())
    return root


def write_masked_data(name: str, folder: Path) -> dict[str, Any]:
    """Write a little of the data that conf/data/<name>.yaml names.

    Args:
        name: Name of the file; one of `MASKED`.
        folder: Where to write it.

    Returns:
        The arguments of the data module with which it is found.
    """
    match name:
        case "coco_masks":
            file = write_coco_json(folder)
            return {"images_dir": str(folder / "pictures"), "annotations": str(file)}
        case "image_masks":
            write_image_masks(folder)
        case "voc_masks":
            write_voc_masks(folder)
        case "cityscapes":
            write_cityscapes(folder)
    return {"data_dir": str(folder)}


MASKED = ("image_masks", "voc_masks", "cityscapes", "coco_masks")


def _saved(path: Path, picture: Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path
