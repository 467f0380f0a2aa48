"""Figures of a classifier, from numbers to a picture; nothing here knows a trainer.

Figures are objects of their own and not pyplot's, so nothing is shared between threads or left open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

INK, BLUE, ORANGE, GREEN, GREY = "#22303c", "#2f6fb0", "#d9722e", "#3a8a52", "#b8c0c8"

MOST_CLASSES_WITH_NUMBERS = 25
"""Above this a number for each pair of classes can no longer be read."""

SHOWN = 20
"""Rows of a list of classes or pairs."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One image and what was made of it.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        truth: Name of its class.
        prediction: Name of the class that was predicted.
        confidence: Probability of the prediction, in [0, 1].
        truth_probability: Probability of its class, in [0, 1].
    """

    image: NDArray[np.uint8]
    truth: str
    prediction: str
    confidence: float
    truth_probability: float


def confusion_matrix(
    counts: Integers, names: Sequence[str], *, texts: Sequence[Sequence[str]] | None = None
) -> Figure:
    """How often each class was taken for each.

    Args:
        counts: (C, C), truth by row and prediction by column.
        names: C class names.
        texts: (C, C), what is written in place of the numbers.

    Returns:
        A number for each pair, mistakes in a colour of their own; with many classes the weakest
        classes and the pairs that are confused most instead.
    """
    if len(names) > MOST_CLASSES_WITH_NUMBERS:
        return _many_classes(counts, names)
    side = max(5.0, 0.55 * len(names) + 2)
    figure = new_figure(side, side)
    axes = figure.subplots()
    axes.imshow(_cell_colours(counts), interpolation="nearest")
    shares = _shares(counts)
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = row == column and shares[row, column] > 0.6
        colour = "white" if dark else INK
        text = texts[row][column] if texts else str(counts[row, column])
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    upright = max(map(len, names)) <= 3
    axes.set_xticks(range(len(names)), [short_name(name) for name in names], rotation=0 if upright else 90)
    axes.set_yticks(range(len(names)), [short_name(name) for name in names])
    axes.set(xlabel="prediction", ylabel="truth", title=f"Confusion matrix: {_right(counts)}")
    axes.spines[:].set_color(GREY)
    axes.tick_params(length=0)
    return figure


def _cell_colours(counts: Integers) -> Floats:
    """(C, C, 3): what is right in blue; mistakes in orange, strongest where they are most frequent."""
    shares = _shares(counts)
    wrong = shares * (1 - np.eye(len(counts)))
    strength = np.where(np.eye(len(counts), dtype=bool), shares, 0.75 * wrong / max(wrong.max(), 1e-9))
    blue, orange = np.array(to_rgb(BLUE)), np.array(to_rgb(ORANGE))
    paint = np.where(np.eye(len(counts), dtype=bool)[..., None], blue, orange)
    return np.asarray(1 + strength[..., None] * (paint - 1))


def _many_classes(counts: Integers, names: Sequence[str]) -> Figure:
    figure = new_figure(14, 7)
    left, right = figure.subplots(1, 2)
    figure.suptitle(f"Confusion of {len(names):,} classes: {_right(counts)}", color=INK)
    weakest_classes(left, counts, names)
    confused_pairs(right, counts, names)
    return figure


def weakest_classes(axes: Axes, counts: Integers, names: Sequence[str]) -> None:
    """The classes of which the smallest share was found.

    Args:
        axes: Where to draw.
        counts: (C, at least C), truth by row and prediction by column.
        names: C class names.
    """
    recall = np.where(counts.sum(axis=1) > 0, np.diag(_shares(counts)), np.inf)
    weakest = [
        int(place) for place in np.argsort(recall, kind="stable")[:SHOWN] if np.isfinite(recall[place])
    ]
    notes = [f" {counts[place, place]} of {counts[place].sum()}" for place in weakest]
    bars(
        axes,
        [short_name(names[place]) for place in weakest],
        [recall[place] for place in weakest],
        notes,
        BLUE,
    )
    axes.set(title="Weakest classes", xlabel="share of the class that was found", xlim=(0, 1.15))


def confused_pairs(axes: Axes, counts: Integers, names: Sequence[str]) -> None:
    """The pairs of classes that are confused most.

    Args:
        axes: Where to draw.
        counts: (C, C), truth by row and prediction by column.
        names: C class names.
    """
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:SHOWN]
    pairs = [divmod(int(place), len(names)) for place in order if wrong.flat[place]]
    notes = [f" {counts[pair]} of {counts[pair[0]].sum()}" for pair in pairs]
    labels = [f"{short_name(names[row])} → {short_name(names[column])}" for row, column in pairs]
    bars(axes, labels, [float(counts[pair]) for pair in pairs], notes, ORANGE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(title="Most confused pairs (truth → prediction)" if pairs else "No mistakes", xlabel="images")
    axes.margins(x=0.18)


def bars(
    axes: Axes, labels: Sequence[str], values: Sequence[float], notes: Sequence[str], colour: str
) -> None:
    """A list from top to bottom, with a bar and a note for each entry."""
    drawn = axes.barh(range(len(values)), values, color=colour)
    axes.bar_label(drawn, notes, fontsize=8, color=INK)
    axes.set_yticks(range(len(values)), labels, fontsize=9)
    axes.set_ylim(len(values) - 0.4, -0.6)
    tidy(axes, grid="x")


def _shares(counts: Integers) -> Floats:
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def _right(counts: Integers) -> str:
    return f"{np.trace(counts):,} of {counts.sum():,} right"


def calibration_bins(
    confidence: Floats, correct: NDArray[np.bool_], bins: int
) -> tuple[Floats, Floats, Integers]:
    """Mean confidence, share right and count in each of equally wide bins.

    Args:
        confidence: (N,) probability of the prediction, in [0, 1].
        correct: (N,) whether it was right.
        bins: Number of bins.

    Returns:
        Three arrays (bins,); NaN means where a bin is empty.
    """
    # A bin is (low, high], as in the paper.
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = np.bincount(place, confidence, bins) / counts
        shares = np.bincount(place, correct, bins) / counts
    return means, shares, counts


def calibration_error(confidence: Floats, correct: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error: mean distance of confidence and accuracy (https://arxiv.org/abs/1706.04599)."""
    means, shares, counts = calibration_bins(confidence, correct, bins)
    return float(np.nansum(np.abs(means - shares) * counts) / max(counts.sum(), 1))


def reliability_diagram(confidence: Floats, correct: NDArray[np.bool_], bins: int = 15) -> Figure:
    """Whether a classifier that says 80 % is right in 80 % of the cases.

    Args:
        confidence: (N,) probability of the prediction, in [0, 1].
        correct: (N,) whether it was right.
        bins: Number of bins.
    """
    means, shares, counts = calibration_bins(confidence, correct, bins)
    edges, width = np.arange(bins) / bins, 1 / bins
    figure = new_figure(6, 6.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = counts > 0
    upper.bar(
        edges[filled], shares[filled], width, align="edge", color=BLUE, edgecolor="white", label="share right"
    )
    gaps = np.abs(means - shares)[filled]
    bottoms = np.minimum(means, shares)[filled]
    hatched = {"facecolor": "none", "edgecolor": ORANGE, "hatch": "////", "linewidth": 1}
    upper.bar(edges[filled], gaps, width, bottoms, align="edge", label="gap to confidence", **hatched)
    upper.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, label="perfect")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share right")
    upper.set_title(f"Reliability: calibration error {calibration_error(confidence, correct, bins):.4f}")
    upper.legend(loc="upper left", frameon=False)
    lower.bar(edges, counts, width, align="edge", color=GREY, edgecolor="white")
    lower.set(xlabel="confidence", ylabel="images")
    if counts.max(initial=0) > 100:
        lower.set(yscale="log", ylim=(0.8, None))
    for axes in (upper, lower):
        tidy(axes)
    return figure


def learning_curves(rows: Sequence[Mapping[str, Any]], *, monitor: str = "") -> Figure:
    """Loss, measures and learning rate by epoch.

    Args:
        rows: One mapping for each epoch, as `history.jsonl` has them.
        monitor: Name of the watched measure, drawn thicker.
    """
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if "/" in name]
    losses = [name for name in names if name.endswith("/loss")]
    others = [name for name in names if name not in losses and name.startswith("val/")] or [
        name for name in names if name not in losses
    ]
    figure = new_figure(11, 4.6)
    left, right = figure.subplots(1, 2)
    _curves(left, rows, losses, monitor)
    left.set_title("Loss")
    _curves(right, rows, others, monitor)
    right.set_title("Measures on validation" if others and others[0].startswith("val/") else "Measures")
    _learning_rate(left, rows)
    return figure


def _curves(axes: Axes, rows: Sequence[Mapping[str, Any]], names: Sequence[str], monitor: str) -> None:
    for name in names:
        points = [(row["epoch"] + 1, row[name]) for row in rows if row.get(name) is not None]
        width = 2.6 if name == monitor else 1.5
        axes.plot(
            *zip(*points, strict=True),
            marker="o" if len(points) < 30 else "",
            markersize=3,
            linewidth=width,
            label=name,
        )
    axes.set(xlabel="epoch", xlim=(1 - 0.03 * len(rows), 1.03 * len(rows)) if len(rows) > 1 else (0.5, 1.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if names:
        axes.legend(frameon=False, fontsize=9)
    tidy(axes)


def _learning_rate(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    points = [(row["epoch"] + 1, row["lr"]) for row in rows if row.get("lr") is not None]
    if points:
        twin = axes.twinx()
        twin.plot(*zip(*points, strict=True), color=GREY, linestyle=":", linewidth=1.5)
        twin.set_ylabel("learning rate (dotted)", color="#7a858f")
        twin.set_ylim(bottom=0)
        twin.spines[["top"]].set_visible(False)


def worst_and_best(worst: Sequence[Example], best: Sequence[Example], *, columns: int = 6) -> Figure:
    """The images with the highest loss above those that were right with most confidence.

    Args:
        worst: Highest loss first.
        best: Most confident first.
        columns: Images in a row.
    """
    groups = {"Highest loss": worst, "Right with most confidence": best}
    heights = [max(1, -(-len(group) // columns)) for group in groups.values()]
    figure = new_figure(1.9 * columns, 2.35 * sum(heights) + 0.8)
    parts = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)
    for part, height, (title, group) in zip(parts.flat, heights, groups.items(), strict=True):
        part.suptitle(title if group else f"{title}: none", x=0.01, ha="left", fontweight="bold", color=INK)
        grid = part.subplots(height, columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, example in zip(grid.flat, group, strict=False):
            _show(axes, example)
    return figure


def _show(axes: Axes, example: Example) -> None:
    axes.imshow(example.image, interpolation="nearest" if max(example.image.shape) < 150 else "antialiased")
    right = example.truth == example.prediction
    said = f"{short_name(example.prediction)} ({_percent(example.confidence)})"
    is_ = f"{short_name(example.truth)} ({_percent(example.truth_probability)})"
    axes.set_title(said if right else f"said {said}\nis {is_}", fontsize=9, color=GREEN if right else ORANGE)


def _percent(share: float) -> str:
    """Four figures near certainty, so that 99.99 % does not pass for 100 %."""
    return f"{100 * share:.3g} %" if share < 0.99 else f"{np.floor(10000 * share) / 100:.2f} %"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in the style of all others; sizes in inches."""
    return Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")


def tidy(axes: Axes, grid: Literal["x", "y"] = "y") -> None:
    """Leave out what carries no number."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis=grid, color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)


def short_name(name: str, longest: int = 26) -> str:
    """Cut in the middle: names of a family differ at their ends."""
    return name if len(name) <= longest else f"{name[: longest // 2 - 1]}…{name[-longest // 2 :]}"
