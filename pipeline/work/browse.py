"""Draws what a network will see: a grid of a split's images after augmentation, with their labels."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from pipeline import build
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.devices import ChannelsLast
from pipeline.errors import Mistake

_COLUMNS = 6
_GAP = 6


def run(
    *,
    composed: Composed,
    seed: int,
    resume: str | None = None,
    channels_last: ChannelsLast = "auto",
    compile: bool = False,
    batch_size_finder: bool = False,
    split: Literal["train", "val", "test"] = "train",
    count: int = 36,
    epoch: int = 0,
    output: str | None = None,
) -> int:
    """Write the grid as a PNG.

    Args:
        composed: The whole configuration.
        seed: The run's seed, so that training would see the same pictures.
        resume: Not used here.
        channels_last: Not used here.
        compile: Not used here.
        batch_size_finder: Not used here.
        split: `train` is drawn with its augmentation, the others as they are measured.
        count: Pictures in the grid.
        epoch: Which epoch's augmentation.
        output: A PNG file; None: outputs/browse/.

    Returns:
        The exit code, 0.
    """
    choices = composed.config["choices"]
    with console.status("reading the data"):
        datamodule: Any = build.datamodule(composed.config)
        datamodule.prepare_data()
        datamodule.setup("fit" if split != "test" else "test")
    pictures = _pictures(datamodule, split=split, count=count, epoch=epoch)
    name = f"{choices['data']}_{choices['transforms']}_{split}_{datetime.now():%H-%M-%S}.png"
    path = Path(output) if output else composed.root / "outputs" / "browse" / name
    if path.suffix.lower() != ".png":
        raise Mistake(f"output={output}: the picture is a PNG; give a name that ends in .png")
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(_grid(pictures), cv2.COLOR_RGB2BGR))
    console.print(
        f"{len(pictures)} images of data={choices['data']} split={split} transforms={choices['transforms']} "
        f"as the network sees them:\n{path}",
        soft_wrap=True,
    )
    mixing = composed.config["task"].get("mixing", "none")
    if split == "train" and mixing != "none":
        console.print(f"task.mixing={mixing} mixes them two by two afterwards, on the device")
    return 0


def _pictures(datamodule: Any, *, split: str, count: int, epoch: int) -> list[Any]:
    """Pictures spread evenly over the split, so that not one class fills the grid."""
    size = datamodule.summary()["sizes"][split]
    chosen = np.linspace(0, size - 1, num=min(count, size)).round().astype(int).tolist()
    batch = datamodule.sample(split, positions=chosen, epoch=epoch)
    return [datamodule.annotate(batch, position) for position in range(len(chosen))]


def _grid(pictures: list[Any]) -> Any:
    height = max(picture.shape[0] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    rows = -(-len(pictures) // _COLUMNS)
    columns = min(_COLUMNS, len(pictures))
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), 255, np.uint8)
    for position, picture in enumerate(pictures):
        top = _GAP + (position // _COLUMNS) * (height + _GAP)
        left = _GAP + (position % _COLUMNS) * (width + _GAP)
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet
