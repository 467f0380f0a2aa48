"""The figure of an ensemble beside its members."""

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from pipeline.bootstrap import Interval
from pipeline.figures import BLUE, GREEN, INK, new_figure, tidy


def gain_figure(
    *,
    name: str,
    members: Mapping[str, float],
    mean: float,
    ensemble: float,
    over_mean: Interval,
    mode: str,
) -> Figure:
    """A bar for each member and one for the ensemble, with the mean of the members as a line.

    Args:
        name: Of the measure.
        members: Its value of each member.
        mean: Of the mean member.
        ensemble: Of all together.
        over_mean: The gain over the mean member; above 0 is better.
        mode: Whether `max` or `min` of the measure is better.
    """
    labels, values = [*members, "ensemble"], [*members.values(), ensemble]
    figure = new_figure(8, max(2.6, 0.4 * len(values) + 1.4))
    axes = figure.subplots()
    drawn = axes.barh(labels, values, color=[BLUE] * len(members) + [GREEN])
    axes.bar_label(drawn, [f" {value:.4f}" for value in values], fontsize=9, color=INK)
    axes.axvline(mean, color=INK, linestyle="--", linewidth=1, label=f"mean member {mean:.4f}")
    axes.invert_yaxis()
    if math.isfinite(over_mean.low):
        sign = 1 if mode == "max" else -1
        ends = sorted(mean + sign * gain for gain in (over_mean.low, over_mean.high))
        axes.plot(ends, [len(members)] * 2, color=INK, marker="|", label="95 % interval of the gain")
    axes.set(title=f"test/{name}: {over_mean.value:+.4f} over the mean member", xlim=_limits(values))
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    tidy(axes, grid="x")
    return figure


def _limits(values: list[float]) -> tuple[float, float]:
    """From 0 where the bars differ enough to be seen so, else from below the smallest."""
    low, high = min(0.0, *values), max(0.0, *values)
    near, far = min(values), max(values)
    if near > 0 and far - near < 0.2 * far:
        low = max(0.0, near - 0.5 * (far - near) - 0.02 * far)
    return low, high + 0.15 * (high - low)
