"""Figures of a verifier, from numbers to a picture; nothing here knows a trainer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from pipeline import figures
from pipeline.figures import BLUE, GREEN, GREY, INK, ORANGE

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BINS = 60
"""Of a histogram of distances."""

SMALLEST_FAR = 1e-4
"""Where the axis of false accepts begins, unless the pairs tell smaller ones apart."""

TARGETS = (0.1, 0.01, 0.001, 0.0001)
"""Shares of false accepts at which the true ones are written down."""

MOST_NAMED = 20
"""Identities that have a colour and a name; more could not be told apart."""

# Strong ones first, and no grey, which stands for all other identities.
_PAIRED = [matplotlib.colormaps["tab20"](place) for place in range(20) if place not in (14, 15)]
_COLOURS = [*_PAIRED[::2], *_PAIRED[1::2], *(matplotlib.colormaps["tab20b"](place) for place in (0, 12))]

_SHORT = 4  # letters of a name that finds room on the map

SIDE = 1.25
"""Width of a picture of a pair in inches."""


@dataclass(frozen=True, kw_only=True)
class PairScene:
    """Two pictures and how far apart they are.

    Attributes:
        first: uint8 (H, W, 3), RGB.
        second: uint8 (H, W, 3), RGB.
        names: Of the identities of both.
        distance: Between their embeddings.
        is_right: Whether the calibrated threshold judges the pair rightly; None where there is none.
    """

    first: Bytes
    second: Bytes
    names: tuple[str, str]
    distance: float
    is_right: bool | None


def distances(distance: Floats, same: Bools, *, threshold: float, title: str = "") -> Figure:
    """How far apart matching pairs are, and how far others: a histogram of each kind by itself.

    Args:
        distance: (P,) distances of pairs.
        same: (P,) whether they match.
        threshold: The distance up to which pairs are taken to match; NaN where none is calibrated.
        title: Written above; empty says what the threshold does.
    """
    figure = figures.new_figure(8, 4.6)
    axes = figure.subplots()
    edges = np.histogram_bin_edges(distance, bins=BINS).tolist()
    for kind, colour, name in ((same, BLUE, "matching"), (~same, ORANGE, "other")):
        shares = np.full(int(kind.sum()), 1 / max(1, int(kind.sum())))
        label = f"{int(kind.sum()):,} {name} pairs"
        axes.hist(distance[kind], edges, weights=shares, color=colour, alpha=0.55, label=label)
        axes.hist(distance[kind], edges, weights=shares, color=colour, histtype="step", linewidth=1.2)
    if np.isfinite(threshold):
        axes.axvline(threshold, color=INK, linestyle="--", linewidth=1.2, label=f"threshold {threshold:.3g}")
    axes.set(xlabel="distance", ylabel="share of the pairs of a kind")
    axes.set_title(title or _accepted(distance, same, threshold))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.legend(frameon=False)
    figures.tidy(axes)
    return figure


def _accepted(distance: Floats, same: Bools, threshold: float) -> str:
    if not np.isfinite(threshold):
        return "Distances of pairs"
    near = distance <= threshold
    shares = [100 * near[kind].mean() if kind.any() else 0.0 for kind in (same, ~same)]
    return f"Taken to match: {shares[0]:.3g} % of the matching pairs, {shares[1]:.3g} % of the others"


def roc(far: Floats, tar: Floats, *, others: int, auc: float, eer: float) -> Figure:
    """The share of matching pairs that is accepted, over that of other pairs.

    Args:
        far: (N,) false accepts as a share of other pairs, rising.
        tar: (N,) true accepts as a share of matching pairs.
        others: Number of pairs that do not match: one of them is the smallest share there is.
        auc: Area under the curve.
        eer: Where as many matching pairs are refused as others are accepted.
    """
    resolution = 1 / max(1, others)
    low = min(SMALLEST_FAR, resolution)
    figure = figures.new_figure(7, 5.2)
    axes = figure.subplots()
    if resolution > low:
        axes.axvspan(
            low, resolution, color=GREY, alpha=0.35, linewidth=0, label=f"below 1 of {others:,} other pairs"
        )
    chance = np.geomspace(low, 1, 200)
    axes.plot(chance, chance, color=GREY, linestyle="--", linewidth=1.2, label="chance")
    axes.plot(np.maximum(far, low), tar, color=BLUE, linewidth=2.2, drawstyle="steps-post")
    for target in TARGETS:
        if target >= resolution:
            _mark(axes, target, float(tar[far <= target].max(initial=0)))
    axes.plot(eer, 1 - eer, marker="o", color=ORANGE, linestyle="", label=f"equal error rate {eer:.4f}")
    axes.set(xscale="log", xlim=(low, 1), ylim=(0, 1.04), title=f"ROC: area under the curve {auc:.4f}")
    axes.set(xlabel="other pairs that are accepted (FAR)", ylabel="matching pairs that are accepted (TAR)")
    axes.legend(loc="lower right", facecolor="white", edgecolor="none", framealpha=0.9)
    figures.tidy(axes)
    return figure


def _mark(axes: Axes, far: float, tar: float) -> None:
    axes.plot([far, far], [0, tar], color=INK, linestyle=":", linewidth=0.9)
    axes.annotate(f"{tar:.3f}", (far, tar), (4, -12), textcoords="offset points", fontsize=8, color=INK)


def pairs(groups: Mapping[str, Sequence[PairScene]], *, columns: int = 4) -> Figure:
    """Pictures of pairs side by side, with their names and distance.

    Args:
        groups: Pairs by heading.
        columns: Pairs in a row.
    """
    rows = [max(1, -(-len(group) // columns)) for group in groups.values()]
    figure = figures.new_figure(2.4 * SIDE * columns, (SIDE + 0.5) * sum(rows) + 0.35 * len(rows))
    parts = figure.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)
    for part, count, (title, group) in zip(parts.flat, rows, groups.items(), strict=True):
        part.suptitle(title if group else f"{title}: none", x=0.01, ha="left", fontweight="bold", color=INK)
        grid = part.subplots(count, columns, squeeze=False, gridspec_kw={"wspace": 0.1})
        for axes in grid.flat:
            axes.axis("off")
        for axes, scene in zip(grid.flat, group, strict=False):
            _show(axes, scene)
    return figure


def _show(axes: Axes, scene: PairScene) -> None:
    picture = side_by_side(scene.first, scene.second)
    axes.imshow(picture, interpolation="nearest" if max(picture.shape) < 300 else "antialiased")
    names = " · ".join(figures.short_name(name, 16) for name in dict.fromkeys(scene.names))
    colour = {True: GREEN, False: ORANGE, None: INK}[scene.is_right]
    axes.set_title(f"{names}\ndistance {scene.distance:.3f}", fontsize=9, color=colour)


def side_by_side(first: Bytes, second: Bytes) -> Bytes:
    """Two pictures as one, with a white line between them; the lower one ends in white."""
    height, gap = max(len(first), len(second)), max(1, first.shape[1] // 32)
    sheet = np.full((height, first.shape[1] + gap + second.shape[1], 3), 255, np.uint8)
    sheet[: len(first), : first.shape[1]] = first
    sheet[: len(second), first.shape[1] + gap :] = second
    return sheet


def embedding_map(places: Floats, labels: Integers, names: Sequence[str]) -> Figure:
    """Where images lie, those of an identity in one colour.

    Args:
        places: (N, 2).
        labels: (N,) identity ids.
        names: Of identities, in the order of their ids.

    Returns:
        A map with the names of the identities that have most images, the others in grey.
    """
    found, counts = np.unique(labels, return_counts=True)
    named = np.sort(found[np.argsort(-counts, kind="stable")[:MOST_NAMED]])
    figure = figures.new_figure(8, 7.2)
    axes = figure.subplots()
    rest = places[~np.isin(labels, named)]
    axes.scatter(rest[:, 0], rest[:, 1], s=8, color=GREY, linewidths=0)
    shown = [figures.short_name(names[label]) for label in named.tolist()]
    in_place = max(map(len, shown)) <= _SHORT
    for label, name, colour in zip(named.tolist(), shown, _COLOURS, strict=False):
        own = places[labels == label]
        axes.scatter(own[:, 0], own[:, 1], s=18, color=colour, linewidths=0, label=name)
        if in_place:
            _name(axes, own, name)
    if not in_place:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8, handletextpad=0.1)
    more = f"; grey: {len(found) - len(named):,} more" if len(found) > len(named) else ""
    axes.set_title(f"{len(places):,} images by their embeddings (t-SNE){more}")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(GREY)
    return figure


def _name(axes: Axes, own: Floats, name: str) -> None:
    """At the image in the middle, so that a group in two parts is named at one of them."""
    x, y = own[np.argmin(np.linalg.norm(own - np.median(own, axis=0), axis=1))]
    halo = [withStroke(linewidth=3, foreground="white")]
    axes.text(x, y, name, size=10, weight="bold", ha="center", va="center", color=INK, path_effects=halo)
