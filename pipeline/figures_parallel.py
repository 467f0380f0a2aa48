"""Parallel coordinates of a sweep: a line for each trial through its values."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from pipeline.figures import GREY, INK, new_figure, short_name
from pipeline.sweeps.varied import Axis, number, shown

MOST_LABELS = 14
"""Above this the values of a category can no longer be read beside an axis."""


def parallel_coordinates(axes: Sequence[Axis], objectives: Sequence[Axis], *, mode: str) -> Figure:
    """A line for each trial through its values, coloured by the first objective.

    Args:
        axes: What was varied.
        objectives: What was looked for; a trial without the first one is drawn in grey up to there.
        mode: Whether `max` or `min` of the first objective is better.

    Returns:
        A vertical axis for each key and objective, on its own scale; the best trial is the thickest line.
    """
    every = [*axes, *objectives]
    figure = new_figure(max(7.0, 1.9 * len(every) + 1.5), 5.2)
    board = figure.subplots()
    heights = [_heights(axis) for axis in every]
    goals = [number(value) for value in objectives[0].values]
    best = _best(goals, mode)
    colours = _map(mode)
    scale = _normalised(goals)
    for trial in _weakest_first(goals, mode):
        points = [(place, column[trial]) for place, column in enumerate(heights)]
        has_goal = math.isfinite(goals[trial])
        _line(board, points, colours(scale(goals[trial])) if has_goal else None, is_best=trial == best)
    for place, axis in enumerate(every):
        _upright(board, place, axis, is_goal=place >= len(axes))
    _frame(board, [short_name(axis.name) for axis in every], split=len(axes))
    done = sum(map(math.isfinite, goals))
    missing = f"; grey: {len(goals) - done} that ended early" if done < len(goals) else ""
    board.set_title(f"{done} trials by {objectives[0].name}{missing}", pad=26)
    return figure


def _heights(axis: Axis) -> list[float]:
    """Where each value stands on an axis from 0 to 1; NaN where there is none."""
    if axis.scale == "category":
        names = _names(axis)
        step = max(len(names) - 1, 1)
        return [math.nan if value is None else names.index(shown(value)) / step for value in axis.values]
    numbers = [_on_scale(number(value), axis) for value in axis.values]
    finite = [number for number in numbers if math.isfinite(number)] or [0.0]
    width = max(finite) - min(finite)
    return [(number - min(finite)) / width if width else 0.5 + 0 * number for number in numbers]


def _names(axis: Axis) -> list[str]:
    return sorted({shown(value) for value in axis.values if value is not None})


def _on_scale(number: float, axis: Axis) -> float:
    return math.log10(number) if axis.scale == "log" and number > 0 else number


def _best(goals: Sequence[float], mode: str) -> int | None:
    finite = [place for place, goal in enumerate(goals) if math.isfinite(goal)]
    choose = max if mode == "max" else min
    return choose(finite, key=lambda place: goals[place]) if finite else None


def _weakest_first(goals: Sequence[float], mode: str) -> list[int]:
    """So that the best lines are drawn over the others."""
    sign = 1 if mode == "max" else -1
    worst = -math.inf
    return sorted(
        range(len(goals)),
        key=lambda place: sign * goals[place] if math.isfinite(goals[place]) else worst,
    )


def _map(mode: str) -> Colormap:
    whole = colormaps["viridis"] if mode == "max" else colormaps["viridis_r"]
    # Without the yellow end, which cannot be seen on white.
    span = (0.0, 0.86) if mode == "max" else (0.14, 1.0)
    return LinearSegmentedColormap.from_list("sweep", whole(np.linspace(*span, 128)))


def _normalised(goals: Sequence[float]) -> Normalize:
    """Colours over the upper and lower goals; one that is far off must not make all others alike."""
    finite = [goal for goal in goals if math.isfinite(goal)] or [0.0]
    low, high = np.percentile(finite, [5, 95]) if len(finite) > 20 else (min(finite), max(finite))
    return Normalize(low, high, clip=True)


def _line(
    board: Axes,
    points: Sequence[tuple[int, float]],
    colour: tuple[float, float, float, float] | None,
    *,
    is_best: bool,
) -> None:
    drawn = [point for point in points if math.isfinite(point[1])]
    board.plot(
        *zip(*drawn, strict=True),
        color=GREY if colour is None else colour,
        linewidth=3.4 if is_best else 1.4,
        linestyle=":" if colour is None else "-",
        marker="o",
        markersize=6 if is_best else 3,
        alpha=1.0 if is_best else 0.8,
        zorder=5 if is_best else 3,
    )


def _upright(board: Axes, place: int, axis: Axis, *, is_goal: bool) -> None:
    """A vertical axis with its values beside it."""
    board.plot([place, place], [0, 1], color=INK, linewidth=1.6 if is_goal else 0.9, zorder=2)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
    for height, text in _marks(axis):
        board.text(
            place + 0.035, height, text, fontsize=8, color=INK, va="center", ha="left", zorder=6, bbox=box
        )


def _marks(axis: Axis) -> list[tuple[float, str]]:
    """Heights and texts beside an axis: every category, and round numbers with both ends."""
    if axis.scale == "category":
        names = _names(axis)
        step = max(len(names) - 1, 1)
        places = range(len(names)) if len(names) <= MOST_LABELS else (0, len(names) - 1)
        return [(place / step, short_name(names[place], 16)) for place in places]
    numbers = sorted({number(value) for value in axis.values if value is not None})
    if not numbers:
        return []
    chosen = numbers if len(numbers) <= 6 else _round_numbers(axis, numbers[0], numbers[-1])
    return _apart([(_height(number, axis, numbers), f"{number:.4g}") for number in chosen])


def _round_numbers(axis: Axis, low: float, high: float) -> list[float]:
    locator = LogLocator(subs=(1.0, 3.0)) if axis.scale == "log" else MaxNLocator(5)
    between = [float(number) for number in locator.tick_values(low, high) if low < number < high]
    return [low, *between, high]


def _height(number: float, axis: Axis, numbers: Sequence[float]) -> float:
    low, high = _on_scale(numbers[0], axis), _on_scale(numbers[-1], axis)
    return (_on_scale(number, axis) - low) / (high - low) if high > low else 0.5


def _apart(marks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Both ends, and of the others those that do not run into them or each other."""
    kept = [marks[0], marks[-1]] if len(marks) > 1 else list(marks)
    for mark in marks[1:-1]:
        if all(abs(mark[0] - other[0]) > 0.06 for other in kept):
            kept.append(mark)
    return kept


def _frame(board: Axes, names: Sequence[str], *, split: int) -> None:
    board.xaxis.tick_top()
    board.set_xticks(range(len(names)), names, fontsize=9)
    for place, label in enumerate(board.get_xticklabels()):
        label.set_fontweight("bold" if place >= split else "normal")
        if len(names) > 4:
            label.set_rotation(12)
    board.tick_params(length=0, colors=INK)
    board.set_yticks([])
    board.spines[:].set_visible(False)
    board.set(xlim=(-0.15, len(names) - 1 + 0.45), ylim=(-0.05, 1.06))
