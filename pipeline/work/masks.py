"""Masks of classes as files: index PNGs, which any viewer shows in the colours of the classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.uint8]

FOLDER = "masks"
"""Beside the annotated pictures."""


@runtime_checkable
class MakesMasks(Protocol):
    """A task whose answer is a class for each pixel."""

    class_names: list[str]
    palette: list[list[int]]

    def masks(self, output: Any) -> list[Mask]:
        """Class ids (H, W) of each image of an answer."""


@dataclass(frozen=True, kw_only=True)
class ClassMask:
    """The classes of an image's pixels.

    Attributes:
        ids: uint8 (H, W), class ids in [0, C).
        names: C class names.
        palette: C colours, RGB in [0, 255].
    """

    ids: Mask
    names: Sequence[str]
    palette: Sequence[Sequence[int]]

    def painted(self) -> Mask:
        """The classes in their colours, uint8 (H, W, 3), RGB."""
        return np.asarray(self.palette, np.uint8)[self.ids]


def class_masks(task: Any, output: Any, *, count: int) -> list[ClassMask] | list[None]:
    """The masks in an answer for some images; None for each where the task makes none.

    Args:
        task: The task that gave the answer.
        output: The answer.
        count: Number of images.
    """
    if not isinstance(task, MakesMasks):
        return [None] * count
    return [ClassMask(ids=ids, names=task.class_names, palette=task.palette) for ids in task.masks(output)]


def mask_names(files: Sequence[Path]) -> dict[Path, str]:
    """A file name for the mask of each image: its own with .png, and a number where that is taken.

    Args:
        files: Image files; of those with one name in different folders, the first keeps it.
    """
    wanted = {path.stem for path in files}
    names: dict[Path, str] = {}
    taken: dict[str, int] = {}
    for path in files:
        number = taken[path.stem] = taken.get(path.stem, 0) + 1
        name = path.stem if number == 1 else f"{path.stem}_{number}"
        while number > 1 and name in wanted:
            number = taken[path.stem] = number + 1
            name = f"{path.stem}_{number}"
        names[path] = f"{name}.png"
    return names


def write_mask(mask: ClassMask, path: Path) -> None:
    """Write a mask whose pixels are the class ids, with the palette that viewers show them in.

    Args:
        mask: The mask.
        path: A PNG file; an older one is replaced, as the table is that belongs to it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask.ids)
    image.putpalette([part for colour in mask.palette for part in colour])
    image.save(path)
