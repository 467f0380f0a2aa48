"""Figures of a detector, from numbers to a picture; nothing here knows a trainer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from pipeline import figures
from pipeline.figures import BLUE, GREEN, GREY, INK, ORANGE

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Style = Literal["truth", "prediction", "wrong", "ignored"]

COLOURS: Mapping[Style, str] = {"truth": GREEN, "prediction": BLUE, "wrong": ORANGE, "ignored": "#7a858f"}

MOST_CURVES_WITH_NAMES = 10
"""Above this a colour for each class can no longer be told from the others."""

MASK_OPACITY = 0.45

SIDE = 2.8
"""Width of a picture, and its largest height, in inches."""

MOST_NAMED_BOXES = 30
"""Above this names would hide the picture."""


@dataclass(frozen=True, kw_only=True)
class Marked:
    """One box in a picture.

    Attributes:
        box: x1 y1 x2 y2 in pixels.
        text: What is written above it.
        style: Decides its colour; ``wrong`` is also for objects that were missed.
        mask: bool (H, W); None without one.
    """

    box: Sequence[float]
    text: str
    style: Style
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One picture with what is there and what was found.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        title: Written above what was found.
        truth: Objects.
        predictions: Detections, best score first.
    """

    image: NDArray[np.uint8]
    title: str
    truth: Sequence[Marked] = field(default_factory=tuple)
    predictions: Sequence[Marked] = field(default_factory=tuple)


def precision_recall(curves: Mapping[str, Any], names: Sequence[str]) -> Figure:
    """Precision by recall, for each class and on average, one panel for each IoU.

    Args:
        curves: ``recall`` (R,), ``ious`` (K), ``precision`` (K, C, R) and ``mean`` (K, R); NaN for classes
            without objects.
        names: C class names.
    """
    figure = figures.new_figure(5.6 * len(curves["ious"]), 4.8)
    panels = figure.subplots(1, len(curves["ious"]), squeeze=False)[0]
    for place, (axes, iou) in enumerate(zip(panels, curves["ious"], strict=True)):
        _class_curves(axes, curves["recall"], curves["precision"][place], names)
        mean = curves["mean"][place]
        axes.plot(curves["recall"], mean, color=INK, linewidth=2.4, label="mean of classes")
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        axes.set_title(f"IoU {iou:g}: average precision {_share(np.mean(mean))}")
        figures.tidy(axes)
    panels[-1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _class_curves(axes: Axes, recall: Floats, precision: Floats, names: Sequence[str]) -> None:
    known = [place for place in range(len(names)) if np.isfinite(precision[place]).all()]
    few = len(known) <= MOST_CURVES_WITH_NAMES
    for place in known:
        label = figures.short_name(names[place]) if few else None
        colour = f"C{place % MOST_CURVES_WITH_NAMES}" if few else GREY
        axes.plot(recall, precision[place], linewidth=1.2 if few else 0.7, label=label, color=colour)


def confusion_matrix(counts: Integers, names: Sequence[str], *, score_threshold: float) -> Figure:
    """Which class was taken for which, with objects nobody found and detections where nothing is.

    Args:
        counts: (C + 1, C + 1), truth by row and prediction by column, the background last.
        names: C class names.
        score_threshold: The score from which detections were counted.
    """
    classes = len(names)
    found, stray = int(np.trace(counts)), int(counts[classes].sum())
    title = f"{found:,} of {counts[:classes].sum():,} objects found, {stray:,} detections of nothing"
    title += f" (score ≥ {score_threshold:.2f})"
    if classes < figures.MOST_CLASSES_WITH_NUMBERS:
        figure = figures.confusion_matrix(counts, [*names, "background"])
        axes = figure.axes[0]
        axes.set_title(title, fontsize=10)
        axes.axhline(classes - 0.5, color=INK, linewidth=1)
        axes.axvline(classes - 0.5, color=INK, linewidth=1)
        axes.set(xlabel="detected as", ylabel="truth")
        return figure
    figure = figures.new_figure(14, 7)
    left, right = figure.subplots(1, 2)
    figure.suptitle(title, color=INK)
    figures.weakest_classes(left, counts[:classes], names)
    # The background would fill this list; what is missed is in the other one.
    figures.confused_pairs(right, counts[:classes, :classes], names)
    right.set_xlabel("objects, of those where something was found")
    return figure


def error_kinds(kinds: Sequence[Mapping[str, Any]], *, score_threshold: float) -> Figure:
    """How many errors of each kind there are, and what each kind costs.

    Args:
        kinds: ``kind``, ``meaning``, ``count`` and ``gain`` of each.
        score_threshold: The score from which errors were counted.
    """
    labels = [f"{kind['kind']}\n{kind['meaning']}" for kind in kinds]
    figure = figures.new_figure(11, 4.6)
    left, right = figure.subplots(1, 2)
    counts = [float(kind["count"]) for kind in kinds]
    figures.bars(left, labels, counts, [f" {kind['count']:,}" for kind in kinds], ORANGE)
    left.set(title="Number of errors", xlabel=f"errors (score ≥ {score_threshold:.2f})")
    rises = [100 * float(kind["gain"]) for kind in kinds]
    figures.bars(
        right, [str(kind["kind"]) for kind in kinds], rises, [f" {rise:.1f}" for rise in rises], BLUE
    )
    right.set(title="What each kind costs", xlabel="rise of AP at IoU 0.5 if it were repaired, in points")
    for axes in (left, right):
        axes.margins(x=0.14)
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]), right=max(1.0, axes.get_xlim()[1]))
    return figure


def scenes(groups: Mapping[str, Sequence[Scene]], *, pairs: int = 2) -> Figure:
    """Pictures in pairs: what is there on the left, what was found on the right.

    Args:
        groups: Pictures by heading.
        pairs: Pairs in a row.
    """
    rows = [max(1, -(-len(group) // pairs)) for group in groups.values()]
    shown = [scene.image.shape for group in groups.values() for scene in group]
    tallest = max((height / width for height, width, _ in shown), default=1.0)
    figure = figures.new_figure(
        2 * SIDE * pairs, (SIDE * min(tallest, 1.0) + 0.25) * sum(rows) + 0.4 * len(rows)
    )
    parts = figure.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)
    for part, height, (title, group) in zip(parts.flat, rows, groups.items(), strict=True):
        part.suptitle(title if group else f"{title}: none", x=0.01, ha="left", fontweight="bold", color=INK)
        grid = part.subplots(height, 2 * pairs, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for place, scene in enumerate(group):
            row, column = divmod(place, pairs)
            _show(grid[row, 2 * column], scene.image, scene.truth, "truth", GREEN)
            _show(grid[row, 2 * column + 1], scene.image, scene.predictions, scene.title, INK)
    return figure


def _show(axes: Axes, image: NDArray[np.uint8], boxes: Sequence[Marked], title: str, colour: str) -> None:
    axes.imshow(_painted(image, boxes), interpolation="nearest" if max(image.shape) < 150 else "antialiased")
    axes.set_title(title, fontsize=8, color=colour)
    axes.autoscale(enable=False)
    # The surest last, above the others.
    for place, marked in reversed(list(enumerate(boxes))):
        _mark(axes, marked, named=place < MOST_NAMED_BOXES)


def _painted(image: NDArray[np.uint8], boxes: Sequence[Marked]) -> NDArray[np.uint8]:
    """The picture with its masks, the surest on top: much faster than a layer for each."""
    painted = image.copy()
    for marked in reversed(boxes):
        if marked.mask is not None:
            colour = 255 * np.array(to_rgb(COLOURS[marked.style]))
            mixed = (1 - MASK_OPACITY) * image[marked.mask] + MASK_OPACITY * colour
            painted[marked.mask] = mixed.astype(np.uint8)
    return painted


def _mark(axes: Axes, marked: Marked, *, named: bool) -> None:
    colour = COLOURS[marked.style]
    left, top, right, bottom = marked.box
    # Pixel 0 is drawn from -0.5 to 0.5.
    outline = Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False)
    outline.set(edgecolor=colour, linewidth=1.4, linestyle="--" if marked.style == "ignored" else "-")
    outline.set_in_layout(False)
    axes.add_patch(outline)
    if named and marked.text:
        _name(axes, marked, colour)


def _name(axes: Axes, marked: Marked, colour: str) -> None:
    """Above the box; inside where it touches the upper border."""
    left, top = max(marked.box[0], 0.0), marked.box[1]
    room = top > 0.06 * axes.get_ylim()[0]
    box = {"facecolor": colour, "edgecolor": "none", "alpha": 0.85, "pad": 0.8}
    text = axes.text(
        left - 0.5,
        (top if room else max(top, 0.0)) - 0.5,
        figures.short_name(marked.text, 20),
        fontsize=6,
        color="white",
        va="bottom" if room else "top",
        bbox=box,
        clip_on=True,
    )
    text.set_in_layout(False)


def _share(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:.3f}"
