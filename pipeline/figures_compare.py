"""Figures of several runs side by side, as drawings that a page can show on light and on dark ground."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from pipeline.bootstrap import Interval
from pipeline.figures import BLUE, GREEN, GREY, INK, ORANGE, new_figure, short_name, tidy

COLOURS = (BLUE, ORANGE, GREEN, "#8a63b8", "#c2485d", "#2a9aa0", "#a67c1f", "#d070ac")
"""Told apart on white and on black; what comes after them is grey."""

_GRID = "#e6e9ec"
_WIDTH = 5.8  # inches
_LINE: dict[str, Any] = {"linestyle": "-", "linewidth": 1.6, "alpha": 0.9, "markersize": 3}
_LONGEST = 42  # letters of a label

Curves = Mapping[str, Sequence[Sequence[tuple[float, float]]]]


def curves_figure(curves: Curves, *, name: str) -> Figure:
    """A measure by epoch.

    Args:
        curves: Of each row its runs, of each run epochs (from 1) with values.
        name: Of the measure.
    """
    figure = new_figure(_WIDTH, 3.6)
    axes = figure.subplots()
    for number, (label, lines) in enumerate(curves.items()):
        for place, points in enumerate(lines):
            named = short_name(label, _LONGEST) if place == 0 and number < len(COLOURS) else None
            marker = "o" if len(points) < 15 else ""
            axes.plot(*zip(*points, strict=True), marker, color=_colour(number), label=named, **_LINE)
    axes.set(title=f"{name} by epoch", xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend(frameon=False, fontsize=8)
    tidy(axes)
    return figure


def bars_figure(rows: Mapping[str, Interval], *, name: str, about: str) -> Figure:
    """A measure of each row, with the range in which it lies.

    Args:
        rows: Values with their intervals, by label; nan ends where there are none.
        name: Of the measure.
        about: What the intervals are; empty where there are none.
    """
    figure = new_figure(_WIDTH, max(2.2, 0.34 * len(rows) + 1.3))
    axes = figure.subplots()
    for number, found in enumerate(rows.values()):
        axes.barh(number, found.value, color=_colour(number), height=0.62)
        if math.isfinite(found.low):
            reach = [[found.value - found.low], [found.high - found.value]]
            axes.errorbar(found.value, number, xerr=reach, color=INK, capsize=3, linewidth=1.2)
    axes.set_yticks(range(len(rows)), [short_name(label, _LONGEST) for label in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set(title=f"{name}{f': {about}' if about else ''}", xlim=_limits(list(rows.values())))
    tidy(axes, grid="x")
    return figure


def cost_figure(points: Mapping[str, tuple[float, float]], *, name: str, cost: str) -> Figure:
    """A measure over what it costs.

    Args:
        points: Cost and value of each row, by label.
        name: Of the measure.
        cost: What the cost is, in words.
    """
    figure = new_figure(_WIDTH, 3.6)
    axes = figure.subplots()
    for number, (label, (spent, value)) in enumerate(points.items()):
        axes.plot(spent, value, "o", color=_colour(number), markersize=7)
        if number < len(COLOURS):
            _name_point(axes, short_name(label, _LONGEST), spent, value, upper=number % 2 == 0)
    spends = [spent for spent, _ in points.values()]
    if min(spends) > 0 and max(spends) > 5 * min(spends):
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set(title=f"{name} over {cost}", xlabel=cost, ylabel=name)
    axes.margins(x=0.3, y=0.18)
    tidy(axes)
    return figure


def drawing(figure: Figure) -> str:
    """A figure as SVG whose ink has the colour of the text around it."""
    for axes in figure.axes:
        axes.tick_params(colors=INK)
        axes.spines[:].set_color(INK)
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
            text.set_color(INK)
        for text in legend.get_texts() if (legend := axes.get_legend()) else ():
            text.set_color(INK)
    written = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": figure.axes[0].get_title()}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = written.getvalue()[written.getvalue().index("<svg") :]
    return svg.replace(INK, "currentColor").replace(_GRID, "var(--line)")


def _name_point(axes: Axes, label: str, spent: float, value: float, *, upper: bool) -> None:
    place = (0, 8) if upper else (0, -15)
    axes.annotate(
        label, (spent, value), xytext=place, textcoords="offset points", ha="center", fontsize=8, color=INK
    )


def _colour(number: int) -> str:
    return COLOURS[number] if number < len(COLOURS) else GREY


def _limits(rows: Sequence[Interval]) -> tuple[float, float]:
    """From 0 where the bars differ enough to be seen so, else from below the smallest."""
    ends = [end for row in rows for end in (row.value, row.low, row.high) if math.isfinite(end)]
    near, far = min(ends), max(ends)
    low, high = min(0.0, near), max(0.0, far)
    if near > 0 and far - near < 0.25 * far:
        low = max(0.0, near - 0.6 * (far - near) - 0.01 * far)
    return low, high + 0.05 * (high - low)
