"""An exported file against the task that it was made from, on pictures of the task's own data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.work.export_files import Runner, Shape, open_file
from pipeline.work.loading import Trained, data_of

_PICTURES = 6
_TOGETHER = 3
_CUT = (7, 13)
"""Rows and columns that are cut off, so that other sizes are tried than those of the data."""
_NOISE = 128


@dataclass(frozen=True, kw_only=True)
class Checked:
    """How a file answers.

    Attributes:
        difference: The largest from the task's own answers, as a share of their range.
        pictures: On how many it was looked for.
        source: What they were, in words.
    """

    difference: float
    pictures: int
    source: str

    def require(self, tolerance: float, *, model: str, format: str) -> None:
        """Refuse a file that answers otherwise than the task.

        Raises:
            Mistake: If the difference is above the tolerance; nan is.
        """
        if not self.difference <= tolerance:
            raise Mistake(
                f"model={model} answers otherwise as format={format}: by {self.difference:.2g} of the range, "
                f"more than {tolerance:.2g}, on {self.pictures} {self.source}; the file was removed. Try "
                "the other format, or a fixed shape such as image_size=128 batch=1"
            )

    def facts(self, tolerance: float) -> dict[str, Any]:
        """As plain values."""
        return {
            "largest_difference": self.difference,
            "tolerance": tolerance,
            "pictures": self.pictures,
            "source": self.source,
        }


def check(trained: Trained, exported: Any, path: Path, *, shape: Shape, format: str) -> Checked:
    """Ask the file and the task the same, with a progress bar.

    Args:
        trained: Whose data is looked at.
        exported: What the task says of itself.
        path: The file.
        shape: Of what goes in.
        format: `onnx` or `torch`.
    """
    items, source = _items(trained)
    trials = _trials(items, exported, shape=shape)
    runner = open_file(path, format=format)
    found = [
        _difference(runner, exported, given)
        for given in track(trials, description="[3/3] comparing", console=console)
    ]
    # max() would lose a nan that does not come first.
    largest = float(torch.tensor(found).max())
    pictures = sum(len(next(iter(given.values()))) for given in trials)
    return Checked(difference=largest, pictures=pictures, source=source)


def _difference(runner: Runner, exported: Any, given: Mapping[str, Tensor]) -> float:
    with torch.inference_mode():
        expected = exported.answer(given)
    try:
        found = runner(given)
    except Exception as error:
        shapes = ", ".join(str(tuple(each.shape)) for each in given.values())
        raise Mistake(
            f"the exported file does not run on pictures of {shapes}, and was removed: "
            f"{str(error).strip().splitlines()[0]}. Try the other format, or a fixed shape such as "
            "image_size=128 batch=1"
        ) from error
    return float(exported.difference(found, expected))


def _items(trained: Trained) -> tuple[list[Mapping[str, Any]], str]:
    """The first pictures of validation; noise where the data is not on this machine."""
    try:
        datamodule: Any = data_of(trained)
        datamodule.setup()
        dataset = datamodule.dataset("val", augment=False)
        found = [dataset[place] for place in range(min(_PICTURES, len(dataset)))]
    except (OSError, ValueError):
        found = []
    return (found, "pictures of the validation split") if found else (_noise(), "pictures of noise")


def _noise() -> list[Mapping[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (_PICTURES, 3, _NOISE, _NOISE), dtype=torch.uint8, generator=generator)
    return [{"image": picture, "style": picture.flip(0)} for picture in pictures]


def _trials(items: list[Mapping[str, Any]], exported: Any, *, shape: Shape) -> list[dict[str, Tensor]]:
    """Inputs of every kind that the file takes: one image, several, and of other sizes."""
    if shape.batch is not None:
        starts = range(0, max(1, len(items) - shape.batch + 1), shape.batch)
        groups = [_group(items, start, shape.batch) for start in starts]
    else:
        groups = [_group(items, 0, 1), _group(items, 0, _TOGETHER)]
    trials = [_inputs(group, exported, shape=shape) for group in groups]
    if shape.size is None:
        trials += [{name: each[..., : -_CUT[0], : -_CUT[1]] for name, each in trials[0].items()}]
        trials += [{name: each.transpose(2, 3) for name, each in trials[-1].items()}]
    return [{name: each.contiguous() for name, each in trial.items()} for trial in trials]


def _group(items: list[Mapping[str, Any]], start: int, count: int) -> list[Mapping[str, Any]]:
    """So many items from a place on; from the beginning again where there are no more."""
    return [items[(start + step) % len(items)] for step in range(count)]


def _inputs(group: list[Mapping[str, Any]], exported: Any, *, shape: Shape) -> dict[str, Tensor]:
    return {
        each.name: _together(
            [_picture(item[each.key]) for item in group[: None if each.is_batch else 1]], shape
        )
        for each in exported.inputs
    }


def _picture(value: Any) -> Tensor:
    """One picture; the first where there are several."""
    first: Tensor = value if isinstance(value, Tensor) else value[0]
    return first


def _together(pictures: list[Tensor], shape: Shape) -> Tensor:
    """Pictures of several sizes as one batch: all of the first one's size, or of the fixed one."""
    size = pictures[0].shape[-2:] if shape.size is None else (shape.size, shape.size)
    return torch.cat([_resized(picture, size) for picture in pictures])


def _resized(picture: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(picture.shape[-2:]) == tuple(size):
        return picture[None]
    return functional.interpolate(picture[None].float(), size=size, mode="nearest").to(torch.uint8)
