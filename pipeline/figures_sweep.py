"""Figures of a sweep, from the values of its trials to a picture; nothing here knows a trainer."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.figures import BLUE, GREEN, GREY, INK, ORANGE, Floats, bars, new_figure, short_name, tidy
from pipeline.sweeps.varied import Axis, number


def importance_bars(shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """How much of the spread of each objective comes from each key.

    Args:
        shares: By objective: keys with their shares, the most important first.
    """
    most = max(len(of_one) for of_one in shares.values())
    figure = new_figure(7.5, (0.42 * most + 1.1) * len(shares))
    for axes, (name, of_one) in zip(
        figure.subplots(len(shares), squeeze=False).flat, shares.items(), strict=True
    ):
        notes = [f" {share:.0%}" for share in of_one.values()]
        bars(axes, [short_name(key, 34) for key in of_one], list(of_one.values()), notes, BLUE)
        axes.set(title=f"What {name} depends on", xlim=(0, 1.1), xlabel="share of the variance")
        axes.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def progress(
    numbers: Sequence[int],
    objectives: Sequence[Axis],
    *,
    deviations: Mapping[str, Sequence[float]],
    modes: Mapping[str, str],
) -> Figure:
    """Each objective by trial, with the best so far.

    Args:
        numbers: Of the trials.
        objectives: Their values; a trial without one is a mark at the lower end.
        deviations: Of each objective over the jobs of a trial; 0 where there is one job.
        modes: Whether `max` or `min` of each objective is better.
    """
    figure = new_figure(8, 3.6 * len(objectives))
    for board, goal in zip(figure.subplots(len(objectives), squeeze=False).flat, objectives, strict=True):
        values = [number(value) for value in goal.values]
        order = np.argsort(numbers)
        places, heights = np.array(numbers)[order], np.array(values)[order]
        errors = np.array(deviations[goal.name])[order]
        _points(board, places, heights, errors)
        _best_so_far(board, places, heights, mode=modes[goal.name])
        board.set(xlabel="trial", ylabel=goal.name, title=f"{goal.name} of each trial")
        board.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        board.legend(frameon=False, fontsize=9)
        tidy(board)
    return figure


def _points(
    board: Axes,
    places: Floats,
    heights: Floats,
    errors: Floats,
) -> None:
    there = np.isfinite(heights)
    if errors.any():
        board.errorbar(
            places[there],
            heights[there],
            errors[there],
            fmt="none",
            ecolor=BLUE,
            capsize=3,
            alpha=0.6,
            label="deviation over its jobs",
        )
    board.plot(places[there], heights[there], "o", color=BLUE, markersize=5, label="trial")
    if not there.all():
        # In the figure's height, since they have none of their own.
        board.plot(
            places[~there],
            np.full((~there).sum(), 0.02),
            "x",
            color=ORANGE,
            transform=board.get_xaxis_transform(),
            label=f"{(~there).sum()} ended early",
        )


def _best_so_far(board: Axes, places: Floats, heights: Floats, *, mode: str) -> None:
    there = np.isfinite(heights)
    accumulate = np.maximum.accumulate if mode == "max" else np.minimum.accumulate
    if there.any():
        board.step(
            places[there],
            accumulate(heights[there]),
            where="post",
            color=GREEN,
            linewidth=1.8,
            label="best so far",
        )


def pareto_front(
    numbers: Sequence[int], objectives: Sequence[Axis], *, front: Sequence[int], modes: Mapping[str, str]
) -> Figure:
    """Two objectives against each other, and the trials that no other one beats in both.

    Args:
        numbers: Of the trials.
        objectives: Both, each with a value or None for each trial.
        front: Numbers of the trials on the front.
        modes: Whether `max` or `min` of each objective is better.
    """
    across, up = objectives
    points = {
        trial: (number(x), number(y)) for trial, x, y in zip(numbers, across.values, up.values, strict=True)
    }
    whole = {trial: point for trial, point in points.items() if all(map(math.isfinite, point))}
    figure = new_figure(7, 5)
    board = figure.subplots()
    others = [point for trial, point in whole.items() if trial not in front]
    if others:
        board.plot(*zip(*others, strict=True), "o", color=GREY, markersize=6, label="trial")
    edge = sorted(whole[trial] for trial in front)
    if edge:
        board.plot(*zip(*edge, strict=True), "o-", color=GREEN, markersize=7, linewidth=1.2, label="front")
    for trial in front:
        board.annotate(
            str(trial), whole[trial], xytext=(6, 6), textcoords="offset points", fontsize=9, color=INK
        )
    better = {"max": "more is better", "min": "less is better"}
    board.set(
        xlabel=f"{across.name} ({better[modes[across.name]]})",
        ylabel=f"{up.name} ({better[modes[up.name]]})",
        title=f"{len(front)} of {len(whole)} trials are beaten by no other in both",
    )
    board.legend(frameon=False)
    tidy(board)
    board.grid(visible=True, axis="x", color="#e6e9ec", linewidth=0.8)
    return figure
