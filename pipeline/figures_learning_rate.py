"""The figure of a range test; nothing here knows a trainer."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pipeline.figures import BLUE, GREEN, GREY, INK, ORANGE, new_figure
from pipeline.rates import Suggestion


def range_test(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    *,
    suggestion: Suggestion | None,
    title: str,
) -> Figure:
    """Loss against learning rate, with the suggested rates.

    Args:
        rates: Of each step, rising.
        losses: Of each step.
        smoothed: The mean that was judged.
        suggestion: What the test speaks for; None for nothing.
        title: Written above.
    """
    figure = new_figure(7, 4.5)
    axes = figure.subplots()
    axes.plot(rates, losses, color=GREY, linewidth=0.8, label="of each step")
    axes.plot(rates, smoothed, color=BLUE, linewidth=1.8, label="smoothed")
    if suggestion is not None:
        for name, rate, colour in (
            ("steepest", suggestion.steepest, GREEN),
            ("a tenth of the lowest", suggestion.tenth, ORANGE),
            ("lowest", suggestion.lowest, INK),
        ):
            axes.axvline(rate, color=colour, linewidth=1.2, linestyle="--", label=f"{name}: {rate:.2g}")
    finite = [loss for loss in smoothed if np.isfinite(loss)]
    if finite:
        # What diverged would make everything else a flat line.
        top = max(finite[0], float(np.median(finite)))
        margin = 0.2 * (top - min(finite)) or 1.0
        axes.set_ylim(min(finite) - margin, top + margin)
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title=title)
    axes.legend(frameon=False, fontsize=9)
    return figure
