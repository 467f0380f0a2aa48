"""Figures of a segmenter, from numbers to a picture; nothing here knows a trainer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from pipeline import figures
from pipeline.figures import BLUE, GREY, INK, ORANGE

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

IGNORED = 255
"""Value of the pixels of a mask that do not count."""

SIDE = 2.1
"""Width of a picture, and its largest height, in inches."""

MOST_NAMED = 25
"""Above this a legend of colours can no longer be read."""

_PANELS = ("image", "truth", "prediction", "errors")


@dataclass(frozen=True, kw_only=True)
class MaskScene:
    """One picture with the classes of its pixels, as they are and as they were predicted.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        truth: uint8 (H, W), class ids; ``IGNORED`` where a pixel does not count.
        prediction: uint8 (H, W), class ids.
        title: Written above it.
    """

    image: Bytes
    truth: Bytes
    prediction: Bytes
    title: str


def confusion_matrix(counts: Integers, names: Sequence[str]) -> Figure:
    """Which share of the pixels of each class was taken for which.

    Args:
        counts: (C, C) pixels, truth by row and prediction by column.
        names: C class names.

    Returns:
        A percentage for each pair; with many classes those of which least was found and the pairs that are
        confused most.
    """
    total = max(1, int(counts.sum()))
    title = f"Pixels of each class in percent: {100 * np.trace(counts) / total:.2f} % of all right"
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if len(names) > figures.MOST_CLASSES_WITH_NUMBERS:
        return _many_classes(shares, counts.sum(axis=1), names, title=title)
    # Shares of a million, so that rows count alike and a pair that is rare still has its colour.
    figure = figures.confusion_matrix((1e6 * shares).astype(np.int64), names, texts=_percentages(shares))
    figure.axes[0].set_title(title, fontsize=10)
    return figure


def _percentages(shares: Floats) -> list[list[str]]:
    """Nothing where it would be 0.0."""
    return [[f"{100 * share:.1f}" if share >= 0.0005 else "" for share in row] for row in shares]


def _many_classes(shares: Floats, pixels: Integers, names: Sequence[str], *, title: str) -> Figure:
    figure = figures.new_figure(14, 7)
    left, right = figure.subplots(1, 2)
    figure.suptitle(title, color=INK)
    found = np.where(pixels > 0, np.diag(shares), np.nan)
    _weakest(left, found, names, title="Classes of which least was found", label="share of its pixels")
    wrong = shares * (1 - np.eye(len(names)))
    order = np.argsort(-wrong, axis=None, kind="stable")[: figures.SHOWN]
    pairs = [divmod(int(place), len(names)) for place in order if wrong.flat[place] >= 0.0005]
    labels = [
        f"{figures.short_name(names[row])} → {figures.short_name(names[column])}" for row, column in pairs
    ]
    values = [100 * float(wrong[pair]) for pair in pairs]
    figures.bars(right, labels, values, [f" {value:.1f}" for value in values], ORANGE)
    right.set(title="Most confused pairs (truth → prediction)", xlabel="percent of the class's pixels")
    right.margins(x=0.18)
    return figure


def class_measures(measures: Mapping[str, Floats], names: Sequence[str]) -> Figure:
    """A panel for each measure with a bar for each class, the weakest first and at most 20.

    Args:
        measures: (C,) values in [0, 1] by the measure's name; NaN for classes that are not there.
        names: C class names.
    """
    rows = min(len(names), figures.SHOWN)
    figure = figures.new_figure(4.8 * len(measures), 1.2 + 0.28 * rows)
    for axes, (title, values) in zip(
        figure.subplots(1, len(measures), squeeze=False)[0], measures.items(), strict=True
    ):
        known = values[np.isfinite(values)]
        mean = f"mean {known.mean():.3f}" if len(known) else "unknown"
        _weakest(axes, values, names, title=f"{title}: {mean}", label=title)
    return figure


def _weakest(axes: Axes, values: Floats, names: Sequence[str], *, title: str, label: str) -> None:
    known = [int(place) for place in np.argsort(values, kind="stable") if np.isfinite(values[place])]
    shown = known[: figures.SHOWN]
    labels = [figures.short_name(names[place]) for place in shown]
    heights = [float(values[place]) for place in shown]
    figures.bars(axes, labels, heights, [f" {height:.3f}" for height in heights], BLUE)
    axes.set(title=title, xlabel=label, xlim=(0, 1.15))


def scenes(
    groups: Mapping[str, Sequence[MaskScene]],
    *,
    names: Sequence[str],
    palette: Sequence[Sequence[int]],
    columns: int = 2,
) -> Figure:
    """Pictures with their truth, prediction and errors beside them.

    Args:
        groups: Pictures by heading.
        names: C class names, for the legend.
        palette: C colours, RGB in [0, 255].
        columns: Pictures in a row, each with its three masks.
    """
    rows = [max(1, -(-len(group) // columns)) for group in groups.values()]
    shapes = [scene.image.shape for group in groups.values() for scene in group]
    tallest = max((height / width for height, width, _ in shapes), default=1.0)
    height = (SIDE * min(tallest, 1.5) + 0.3) * sum(rows) + 0.4 * len(rows) + 0.4
    figure = figures.new_figure(len(_PANELS) * SIDE * columns, height)
    parts = figure.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)
    for part, count, (title, group) in zip(parts.flat, rows, groups.items(), strict=True):
        part.suptitle(title if group else f"{title}: none", x=0.01, ha="left", fontweight="bold", color=INK)
        grid = part.subplots(count, len(_PANELS) * columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for place, scene in enumerate(group):
            row, column = divmod(place, columns)
            _show(grid[row, len(_PANELS) * column :], scene, palette)
    _legend(figure, [scene for group in groups.values() for scene in group], names, palette)
    return figure


def _show(panels: Sequence[Axes], scene: MaskScene, palette: Sequence[Sequence[int]]) -> None:
    pictures = (scene.image, painted(scene.truth, palette), painted(scene.prediction, palette), errors(scene))
    for axes, picture, title in zip(panels, pictures, (scene.title, *_PANELS[1:]), strict=False):
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(title, fontsize=8, color=INK)


def painted(mask: Bytes, palette: Sequence[Sequence[int]]) -> Bytes:
    """A mask (H, W) in the colours of its classes, uint8 (H, W, 3); grey where a pixel does not count."""
    colours = np.empty((256, 3), np.uint8)
    colours[:] = _bytes(GREY)
    colours[: len(palette)] = palette
    return np.asarray(colours[mask])


def errors(scene: MaskScene) -> Bytes:
    """The picture, pale, with wrong pixels in orange; grey where a pixel does not count."""
    pale = 160 + 95 * (scene.image.mean(axis=2, keepdims=True) / 255).repeat(3, axis=2)
    ignored = scene.truth == IGNORED
    pale[scene.truth != scene.prediction] = _bytes(ORANGE)
    pale[ignored] = _bytes(GREY)
    return np.asarray(pale, np.uint8)


def _bytes(colour: str) -> NDArray[np.uint8]:
    return np.array([round(255 * part) for part in to_rgb(colour)], np.uint8)


def _legend(
    figure: Figure, shown: Sequence[MaskScene], names: Sequence[str], palette: Sequence[Sequence[int]]
) -> None:
    """The classes that are seen, unless they are too many; errors and what does not count."""
    masks = [mask for scene in shown for mask in (scene.truth, scene.prediction)]
    there = sorted({int(value) for mask in masks for value in np.unique(mask)} - {IGNORED})
    known = {names[place]: _fraction(palette[place]) for place in there if place < len(names)}
    named = known if len(known) <= MOST_NAMED else {}
    patches = [
        Patch(facecolor=colour, edgecolor=INK, linewidth=0.4, label=figures.short_name(name))
        for name, colour in {**named, "wrong": to_rgb(ORANGE), "does not count": to_rgb(GREY)}.items()
    ]
    columns = min(len(patches), 14)
    figure.legend(handles=patches, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)


def _fraction(colour: Sequence[int]) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
