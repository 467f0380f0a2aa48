"""Photographs painted by a network: a picture each, a contact sheet and a table."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningModule

from pipeline.errors import Mistake
from pipeline.figures_style_transfer import PaintedScene, side_by_side
from pipeline.work.files import unused, write_table
from pipeline.work.inference import Answer, answers
from pipeline.work.loading import Trained, data_of

MAX_SIZE = 2048
"""Longest side in pixels that is painted unless a person says otherwise: see docs/style_transfer.md."""

SHEET = 6
"""Photographs that the contact sheet shows."""

_SHOWN = 512  # pixels of the longer side of a picture on the contact sheet

Bytes = NDArray[np.uint8]
Row = dict[str, Any]


@runtime_checkable
class Paints(Protocol):
    """A task whose answer is a picture."""

    def paint_like(self, styles: Any, *, alpha: float = 1.0, blend: Any = None, colour: Any = None) -> None:
        """Choose what is painted like."""

    def pictures(self, output: Any) -> list[Bytes]:
        """What was painted, (H, W, 3) RGB each."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How photographs shall be painted.

    Attributes:
        styles: Files, or names of embedded photographs; none where the style was learnt.
        blend: Weight of each style; None: all alike.
        alpha: From 0, the photograph, to 1, all of the style.
        colour: What happens to the colours; None: as trained.
        longer_side: Pixels of the longer side of what is painted; None: as it is in the file.
        at_most: Most pixels of it where it is as in the file.
    """

    styles: Sequence[str] = ()
    blend: Sequence[float] | None = None
    alpha: float = 1.0
    colour: str | None = None
    longer_side: int | None = None
    at_most: int = MAX_SIZE


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where everything goes.

    Attributes:
        folder: For the pictures.
        table: File of the table.
        base: Folder of the photographs, whose folders the pictures lie in again.
        ending: Of the pictures, which says their format.
        sheet: How many photographs the contact sheet shows.
    """

    folder: Path
    table: Path
    base: Path
    ending: str = ".png"
    sheet: int = SHEET


@dataclass(kw_only=True)
class Painted:
    """What has been painted so far, with the pictures on disk.

    Attributes:
        rows: Lines of the table.
        broken: What is wrong with the files that could not be read.
        shrunk: How many are painted smaller than they are, because they are too large.
        sheet: The contact sheet; None where there is none.
    """

    rows: list[Row] = field(default_factory=list)
    broken: dict[Path, str] = field(default_factory=dict)
    shrunk: int = 0
    sheet: Path | None = None


def paint(
    trained: Trained,
    files: Sequence[Path],
    *,
    wish: Wish,
    places: Places,
    num_workers: int,
    device: torch.device,
) -> Painted:
    """Paint photographs, with a progress bar; the table is written also of a part of them.

    Args:
        trained: What paints.
        files: The photographs.
        wish: How.
        places: Where to.
        num_workers: Processes that read photographs.
        device: Where to compute.

    Raises:
        ValueError: If the network cannot paint as it shall; nothing is written then.
        Mistake: If a picture is too large for the memory.
    """
    datamodule: Any = data_of(trained)
    styles = _ready(trained.task, datamodule, wish=wish)
    given = answers(
        trained,
        files,
        batch_size=1,  # they differ in size
        num_workers=num_workers,
        device=device,
        doing="painting",
        dataset=datamodule.paint_dataset(files, longer_side=wish.longer_side, at_most=wish.at_most),
    )
    painted = Painted()
    scenes: list[PaintedScene] = []
    try:
        for answer in _within_memory(given):
            scene = _keep(painted, answer, task=trained.task, wish=wish, places=places)
            scenes += [scene] if scene and len(scenes) < places.sheet else []
    finally:
        write_table(pd.DataFrame(painted.rows, columns=["file", "picture", *_columns(trained)]), places.table)
    painted.sheet = _write_sheet(scenes, styles, folder=places.folder)
    return painted


def photographs_base(input: str, files: Sequence[Path]) -> Path:
    """The folder that all photographs lie in, at any depth.

    Args:
        input: As a person typed it: the folder itself, a file, or a glob.
        files: What it means.
    """
    given = Path(input).expanduser()
    if given.is_dir():
        return _plain(given)
    return Path(os.path.commonpath([_plain(file.parent) for file in files]))


def _plain(path: Path) -> Path:
    """Absolute and without `..`, by its text: a link is kept as the person sees it."""
    return Path(os.path.abspath(path))  # noqa: PTH100 # Path.absolute keeps '..'


def _ready(task: LightningModule, datamodule: Any, *, wish: Wish) -> list[Bytes]:
    """Tell the network what to paint like; the styles for the contact sheet."""
    assert isinstance(task, Paints)
    styles = datamodule.read_styles(wish.styles, key="style", image_size=wish.longer_side or wish.at_most)
    task.paint_like(styles or None, alpha=wish.alpha, blend=wish.blend, colour=wish.colour)
    return [_small(_picture(style)) for style in styles or _learnt(datamodule)]


def _learnt(datamodule: Any) -> list[Any]:
    """The style that was trained with, where its files are still there."""
    try:
        return list(datamodule.read_styles(datamodule.style))
    except ValueError:
        return []


def _columns(trained: Trained) -> list[str]:
    task: Any = trained.task
    return list(task.columns)


def _within_memory(given: Iterable[Answer]) -> Iterator[Answer]:
    """The answers; says what to do where memory ends, which torch has no error of its own for on a CPU."""
    try:
        yield from given
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise Mistake(
            "a photograph is too large for the memory; paint it smaller with max_size=, or all of them with "
            "image_size=; what was painted before is kept"
        ) from error


def _keep(painted: Painted, answer: Answer, *, task: Any, wish: Wish, places: Places) -> PaintedScene | None:
    """Write the one picture of an answer; what the contact sheet shows of it."""
    (file,), (error,) = answer.files, answer.errors
    if error:
        painted.broken[file] = error
        return None
    (picture,), ((row,),) = task.pictures(answer.output), task.rows(answer.output)
    target = _write(picture, file, places=places)
    painted.rows.append({"file": str(file), "picture": str(target), **row})
    painted.shrunk += wish.longer_side is None and max(answer.batch["stored"][0]) > wish.at_most
    return PaintedScene(content=_small(_picture(answer.batch["image"][0])), styles=[], result=_small(picture))


def _write(picture: Bytes, file: Path, *, places: Places) -> Path:
    """The picture's path: the photograph's name, and a number where another picture has it already."""
    name = _plain(file).relative_to(places.base).with_suffix(places.ending)
    target = unused(places.folder / name)
    target.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(places.ending, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    target.write_bytes(encoded.tobytes())
    return target


def _write_sheet(scenes: Sequence[PaintedScene], styles: Sequence[Bytes], *, folder: Path) -> Path | None:
    if not scenes:
        return None
    rows = [PaintedScene(content=each.content, styles=styles, result=each.result) for each in scenes]
    path = unused(folder / "contact_sheet.png")
    side_by_side(rows).savefig(path)
    return path


def _picture(image: Any) -> Bytes:
    """uint8 (H, W, 3) of a tensor (3, H, W)."""
    return np.ascontiguousarray(image.cpu().numpy().transpose(1, 2, 0), dtype=np.uint8)


def _small(picture: Bytes) -> Bytes:
    """As large as it is shown."""
    factor = min(1.0, _SHOWN / max(picture.shape[:2]))
    size = [max(1, round(factor * side)) for side in picture.shape[1::-1]]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
