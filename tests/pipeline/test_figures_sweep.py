"""Figures of a sweep: what is written and drawn in them."""

import math
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from pipeline.figures import GREEN, GREY
from pipeline.figures_parallel import MOST_LABELS, parallel_coordinates
from pipeline.figures_sweep import importance_bars, pareto_front, progress
from pipeline.sweeps.varied import Axis, Scale, Value


def axis(name: str, *values: Value | None, scale: Scale = "linear") -> Axis:
    return Axis(name=name, values=values, scale=scale)


TOP1 = axis("val/top1", 0.5, 0.9, None, 0.7)
LR = axis("optimizer.lr", 1e-4, 1e-2, 1e-3, 1e-1, scale="log")
MODEL = axis("model", "lenet5", "resnet8", "unet", "lenet5", scale="category")


def texts(figure: Figure) -> list[str]:
    """Everything that is written in a figure, once it is drawn."""
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]


def axes_of(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.findobj(Axes) if isinstance(axes, Axes)]


def trials_of(figure: Figure) -> list[Line2D]:
    """The lines of the trials, in the order in which they are drawn; not the axes."""
    (board,) = axes_of(figure)
    return [line for line in board.lines if line.get_marker() == "o"]


def heights(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_ydata())]


def test_each_trial_is_a_line_through_its_values() -> None:
    figure = parallel_coordinates([LR, MODEL], [TOP1], mode="max")
    lines = trials_of(figure)
    assert len(lines) == 4
    # The weakest first: the one without a value, then 0.5, 0.7 and 0.9.
    assert [heights(line) for line in lines] == [
        pytest.approx([1 / 3, 1.0]),
        pytest.approx([0.0, 0.0, 0.0]),
        pytest.approx([1.0, 0.0, 0.5]),
        pytest.approx([2 / 3, 0.5, 1.0]),
    ]
    assert same_color(lines[0].get_color(), GREY), "grey where it has no value"
    widths = [line.get_linewidth() for line in lines]
    assert max(widths) == widths[3] > max(widths[:3]), "the best is the thickest"
    colours = {str(line.get_color()) for line in lines}
    assert len(colours) == 4


def test_less_is_better_where_it_is_said() -> None:
    lines = trials_of(parallel_coordinates([LR], [TOP1], mode="min"))
    assert heights(lines[-1])[-1] == pytest.approx(0.0), "0.5 is the best"
    most = trials_of(parallel_coordinates([LR], [TOP1], mode="max"))
    assert same_color(lines[-1].get_color(), most[-1].get_color()), "and has the colour of the best"


def test_values_are_written_beside_their_axes() -> None:
    shown = texts(parallel_coordinates([LR, MODEL], [TOP1], mode="max"))
    assert {"0.0001", "0.001", "0.01", "0.1", "lenet5", "resnet8", "unet", "0.5", "0.9"} <= set(shown)
    assert {"optimizer.lr", "model", "val/top1"} <= set(shown)
    assert "3 trials by val/top1; grey: 1 that ended early" in shown


def test_labels_of_many_values_do_not_run_into_each_other() -> None:
    values = [float(value) for value in np.geomspace(9.2e-4, 1.08e-1, 50)]
    names = [f"network number {place}" for place in range(50)]
    goals = axis("val/top1", *np.linspace(0, 1, 50).tolist())
    axes = [axis("optimizer.lr", *values, scale="log"), axis("model", *names, scale="category")]
    figure = parallel_coordinates(axes, [goals], mode="max")
    figure.canvas.draw()
    (board,) = axes_of(figure)
    for place in range(3):
        labels = [text for text in board.texts if int(text.get_position()[0]) == place]
        boxes = sorted((box.y0, box.y1) for box in (text.get_window_extent() for text in labels))
        assert 2 <= len(boxes) <= MOST_LABELS
        assert all(lower[1] <= upper[0] for lower, upper in pairwise(boxes)), f"axis {place}"


def test_a_constant_axis_and_a_single_trial_are_drawn() -> None:
    figure = parallel_coordinates([axis("a", 1, 1)], [axis("val/top1", 0.5, 0.5)], mode="max")
    assert [heights(line) for line in trials_of(figure)] == [[0.5, 0.5]] * 2
    assert texts(parallel_coordinates([axis("a", 1)], [axis("val/top1", 0.5)], mode="max"))
    assert texts(parallel_coordinates([axis("a", 1, 2)], [axis("val/top1", None, None)], mode="max"))


def test_importance_has_a_bar_for_each_key_and_objective() -> None:
    shares = {"val/top1": {"optimizer.lr": 0.75, "model": 0.25}, "seconds": {"model": 1.0}}
    figure = importance_bars(shares)
    upper, lower = axes_of(figure)
    widths = [bar.get_width() for bar in upper.patches if isinstance(bar, Rectangle)]
    assert widths == [0.75, 0.25] and len(lower.patches) == 1
    assert {"What val/top1 depends on", "What seconds depends on", "optimizer.lr"} <= set(texts(figure))


@pytest.mark.parametrize(("mode", "expected"), [("max", [0.5, 0.9, 0.9]), ("min", [0.5, 0.5, 0.5])])
def test_progress_has_the_best_so_far(mode: str, expected: list[float]) -> None:
    figure = progress([0, 1, 2, 3], [TOP1], deviations={"val/top1": [0.0] * 4}, modes={"val/top1": mode})
    (board,) = axes_of(figure)
    (best,) = [line for line in board.lines if same_color(line.get_color(), GREEN)]
    assert heights(best) == pytest.approx(expected)
    assert list(np.asarray(best.get_xdata())) == [0, 1, 3]
    assert "1 ended early" in texts(figure)


def test_progress_is_in_the_order_of_the_trials() -> None:
    figure = progress(
        [3, 1], [axis("a", 0.5, 0.9)], deviations={"a": [0.1, 0.2]}, modes={"a": "max"}
    )  # the third ended first
    (board,) = axes_of(figure)
    (best,) = [line for line in board.lines if same_color(line.get_color(), GREEN)]
    assert list(np.asarray(best.get_xdata())) == [1, 3] and heights(best) == [0.9, 0.9]
    (bars,) = board.containers
    ends = [float(segment[1][1] - segment[0][1]) for segment in bars.lines[2][0].get_segments()]  # type: ignore[attr-defined]
    assert ends == pytest.approx([0.4, 0.2]), "a deviation to both sides"
    assert "deviation over its jobs" in texts(figure)


def test_the_front_is_marked_and_numbered() -> None:
    objectives = [axis("val/top1", 0.5, 0.9, 0.4, None), axis("seconds", 10.0, 30.0, 20.0, 5.0)]
    modes = {"val/top1": "max", "seconds": "min"}
    figure = pareto_front([4, 5, 6, 7], objectives, front=[4, 5], modes=modes)
    shown = texts(figure)
    assert {"4", "5"} <= set(shown) and "6" not in shown
    assert "2 of 3 trials are beaten by no other in both" in shown
    assert "val/top1 (more is better)" in shown and "seconds (less is better)" in shown
    (board,) = axes_of(figure)
    others, front = board.lines
    assert list(np.asarray(others.get_xdata())) == [0.4]
    assert list(np.asarray(front.get_xdata())) == [0.5, 0.9]
    assert not any(math.isnan(value) for value in heights(front))
