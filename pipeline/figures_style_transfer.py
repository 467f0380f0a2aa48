"""Figures of style transfer, from pictures to a figure; nothing here knows a trainer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline import figures
from pipeline.figures import INK

Bytes = NDArray[np.uint8]

HEIGHT = 3.2
"""Of each picture, in inches."""

WIDEST = 24.0
"""Width of a figure in inches, above which its pictures are made smaller."""


@dataclass(frozen=True, kw_only=True)
class PaintedScene:
    """A content picture, the style pictures it was painted like, and what was painted.

    Attributes:
        content: uint8 (H, W, 3), RGB.
        styles: uint8 (h, w, 3) each, RGB; of any size, maybe none.
        result: uint8 (H, W, 3), RGB.
    """

    content: Bytes
    styles: Sequence[Bytes]
    result: Bytes

    def titled(self) -> list[tuple[str, Bytes]]:
        """All pictures from left to right, with what stands above them."""
        several = len(self.styles) > 1
        named = [
            (f"style {number}" if several else "style", style) for number, style in enumerate(self.styles, 1)
        ]
        return [("content", self.content), *named, ("result", self.result)]


def side_by_side(scenes: Sequence[PaintedScene], *, title: str = "") -> Figure:
    """Content, styles and result in a row for each scene, all of one height.

    Args:
        scenes: At least one.
        title: Written above; empty for none.
    """
    rows = [scene.titled() for scene in scenes]
    widths = [sum(_shape(picture) for _, picture in row) for row in rows]
    height = min(HEIGHT, WIDEST / max(widths))
    figure = figures.new_figure(height * max(widths) + 0.3, (height + 0.4) * len(rows))
    parts = figure.subfigures(len(rows), 1, squeeze=False)
    for part, row in zip(parts.flat, rows, strict=True):
        shapes = [_shape(picture) for _, picture in row]
        panels = part.subplots(1, len(row), squeeze=False, width_ratios=shapes)
        for axes, (name, picture) in zip(panels.flat, row, strict=True):
            _show(axes, picture, title=name)
    if title:
        figure.suptitle(title, color=INK)
    return figure


def _shape(picture: Bytes) -> float:
    """Width of a picture that is 1 high."""
    height, width = picture.shape[:2]
    return float(width / height)


def _show(axes: Axes, picture: Bytes, *, title: str) -> None:
    axes.imshow(picture, interpolation="antialiased")
    axes.set_title(title, fontsize=10, color=INK)
    axes.axis("off")
