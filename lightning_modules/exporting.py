"""What a task says of itself where it is to be written to a file that runs without this project."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

Format = Literal["onnx", "torch"]
Difference = Callable[[Sequence[Tensor], Sequence[Tensor]], float]
Given = Mapping[str, Tensor]
TOLERANCE = 1e-3
"""Largest difference from the task's own answers that is taken for rounding, as a share of their range."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """Pictures that go into an exported network, uint8 RGB (B, 3, H, W).

    Attributes:
        name: As they are given.
        key: Of such a picture in an item of the task's data.
        is_batch: Whether there is one for each image; otherwise one for all, (1, 3, H, W).
    """

    name: str
    key: str
    is_batch: bool = True


@dataclass(frozen=True, kw_only=True)
class Output:
    """One answer of an exported network.

    Attributes:
        name: As it is asked for.
        shape: Lengths, or in words those that depend on what is given: ``("batch", 10)``.
    """

    name: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A network as it is exported, with its preprocessing inside.

    Attributes:
        network: Maps a tensor for each of ``inputs``, in their order, to a tensor for each of ``outputs``; a
            tuple where there are several.
        answer: The task's own answers for the same inputs by name, by the way it answers everybody.
        outputs: What comes out, in order.
        inputs: What goes in, in order; the first is what the answers are about.
        any_size: Whether height and width may be any; otherwise they are fixed when it is exported.
        one_image: Whether it takes one image at a time.
        formats: Those that can hold it; others cannot say that the number of answers depends on the image.
        traced: Whether it is to be recorded while it runs once, instead of read: ONNX's older way, which
            alone copes with lists of boxes.
        facts: What else who uses the answers must know, as plain values.
        difference: Largest difference of answers from those expected, as a share of their range.
        tolerance: The largest that is rounding.
    """

    network: nn.Module
    answer: Callable[[Given], tuple[Tensor, ...]]
    outputs: tuple[Output, ...]
    inputs: tuple[Input, ...] = (Input(name="images", key="image"),)
    any_size: bool = False
    one_image: bool = False
    formats: tuple[Format, ...] = ("onnx", "torch")
    traced: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    difference: Difference = field(default_factory=lambda: shares(scale=1.0))
    tolerance: float = TOLERANCE


class ThreeChannels(nn.Module):
    """Grey pictures thrice, for networks that take colour."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) of (B, 1, H, W) or (B, 3, H, W)."""
        return images.expand(-1, 3, -1, -1)


def shares(*, scale: float | None) -> Difference:
    """How two answers of one shape are compared.

    Args:
        scale: The range of the answers; None for the largest magnitude of those expected.
    """

    def difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
        largest = 0.0
        for mine, right in zip(found, expected, strict=True):
            if mine.shape != right.shape:
                return float("inf")
            apart = (mine.double() - right.double()).abs()
            reach = scale if scale is not None else max(float(right.double().abs().max()), 1e-12)
            # What is not a number is never equal, and a maximum must not hide it.
            largest = max(
                largest, float(apart.max()) / reach if bool(apart.isfinite().all()) else float("inf")
            )
        return largest

    return difference


def positions(images: Tensor) -> Tensor:
    """Positions (B,) for a batch that belongs to no data set."""
    return torch.arange(len(images))
