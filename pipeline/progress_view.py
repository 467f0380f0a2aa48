"""What the progress of a run looks like, apart from what makes it progress."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar as Bar
from rich.table import Table
from rich.text import Text

from pipeline.panels import shown_time

UNHURRIED = 2.0
"""Seconds that a stage may take before it gets a bar."""


@dataclass
class Pace:
    """Counts work that is done and says how fast it goes and how long the rest will take.

    Attributes:
        total: Work in all; None where nobody knows.
        done: Work done, also by an earlier process.
        before: Work that was done when the clock started.
        started: When the clock started.
    """

    total: int | None
    done: int = 0
    before: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the clock started."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Work per second since the clock started."""
        return (self.done - self.before) / max(self.seconds, 1e-9)

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at this rate; None where nobody knows."""
        if self.total is None or self.done <= self.before:
            return None
        return max(0, self.total - self.done) / self.rate


@dataclass
class View:
    """A run's progress.

    Attributes:
        run: All training batches of the run.
        epoch: Training batches of this epoch.
        number: This epoch, from 1.
        epochs: Epochs in all; None where steps or time end the run.
        began: When this epoch began.
        rate: Training batches per second of this epoch, without validation.
        whole_epoch: Seconds of the last whole epoch with validation; None before there is one.
        numbers: Measures to show, in their order.
        stage: Name of a stage besides training.
        stage_pace: Batches of that stage.
    """

    run: Pace | None = None
    epoch: Pace | None = None
    number: int = 0
    epochs: int | None = None
    began: float = 0.0
    rate: float = 0.0
    whole_epoch: float | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    stage: str = ""
    stage_pace: Pace | None = None

    @property
    def left(self) -> float | None:
        """Seconds that the rest of the run will take; None where nobody knows.

        By whole epochs as soon as there was one: batches alone know nothing of validation.
        """
        if self.whole_epoch is not None and self.epochs is not None:
            this = max(0.0, self.whole_epoch - (time.monotonic() - self.began))
            return this + (self.epochs - self.number) * self.whole_epoch
        return self.run.left if self.run is not None else None


def render(view: View) -> RenderableType:
    """Up to three lines: the run's bar, its measures, and a stage that takes its time."""
    lines: list[RenderableType] = []
    if view.run is not None and view.epoch is not None:
        batches = f"batch {view.epoch.done}/{view.epoch.total or '?'}"
        lines.append(_bar(epoch_name(view), view.run, note=batches, rate=view.rate, left=view.left))
        lines.append(
            Text(f"  {shown_measures(view.numbers)}", style="dim", no_wrap=True, overflow="ellipsis")
        )
    if view.stage_pace is not None and view.stage_pace.seconds > UNHURRIED:
        pace = view.stage_pace
        batches = f"batch {pace.done}/{pace.total or '?'}"
        lines.append(_bar(view.stage, pace, note=batches, rate=pace.rate, left=pace.left))
    return Group(*lines)


def epoch_line(view: View) -> str:
    """One epoch for a console that keeps every line."""
    assert view.run is not None and view.epoch is not None
    return "  ".join(
        part
        for part in (
            epoch_name(view),
            shown_time(view.run.seconds),
            f"{view.rate:.3g} batches/s",
            _left(view.left),
            shown_measures(view.numbers),
        )
        if part
    )


def epoch_name(view: View) -> str:
    """`epoch 3/30`."""
    return f"epoch {view.number}/{view.epochs}" if view.epochs else f"epoch {view.number}"


def shown_measures(numbers: Mapping[str, float]) -> str:
    """Names and values with four figures."""
    return " · ".join(f"{name} {value:.4g}" for name, value in numbers.items())


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f"{shown_time(seconds)} left"


def _bar(name: str, pace: Pace, *, note: str, rate: float, left: float | None) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(ratio=1)
    for _ in range(3):
        table.add_column(no_wrap=True, justify="right")
    bar = Bar(total=pace.total, completed=pace.done, pulse=pace.total is None)
    times = " · ".join(filter(None, (shown_time(pace.seconds), _left(left))))
    table.add_row(name, bar, note, f"{rate:.3g}/s", times)
    return table
