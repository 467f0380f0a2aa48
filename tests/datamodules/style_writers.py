"""Small contents and styles in files, for the tests of the style transfer data and of what uses them."""

from pathlib import Path
from typing import Any

import numpy as np

from datamodules.arrays import ByteArray
from tests.datamodules.box_writers import write_image

STYLED = ("content_folder", "picture_and_style")


def painting(number: int, *, height: int, width: int) -> ByteArray:
    """A smooth picture with coarse shapes, another one for each number; RGB."""
    generator = np.random.default_rng(number)
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    waves = generator.uniform(2, 9, size=(3, 2))
    picture = [np.sin(rows * y * 3 + columns * x * 3 + number) for y, x in waves]
    return ((np.stack(picture, axis=-1) * 0.4 + 0.5) * 255).round().astype(np.uint8)


def write_paintings(root: Path, *, splits: dict[str, int], first: int = 0) -> Path:
    """PNGs of different sizes, as many in each folder of a split (none for the empty name) as said."""
    number = first
    for split, count in splits.items():
        for position in range(count):
            number += 1
            height, width = 40 + 3 * position, 70 - 5 * position
            write_image(root / split / f"{position}.png", painting(number, height=height, width=width))
    return root


def write_style_data(name: str, folder: Path) -> dict[str, Any]:
    """Write a little of the data that conf/data/<name>.yaml names; see `writers.write_data`."""
    style = str(write_image(folder / "style.png", painting(100, height=50, width=60)))
    if name == "content_folder":
        contents = write_paintings(folder / "contents", splits={"train": 4, "val": 2, "test": 2})
        return {"content_dir": str(contents), "style": style, "crops_per_epoch": 8}
    content = str(write_image(folder / "content.png", painting(101, height=40, width=60)))
    return {"content": content, "style": style, "steps_per_epoch": 2, "batch_size": 1}
