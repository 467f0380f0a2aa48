"""What a person reads of an ensemble: every member beside it, what joining is worth, and what it costs."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline import record
from pipeline.bootstrap import CONFIDENCE, Interval
from pipeline.console import console
from pipeline.figures_ensemble import gain_figure
from pipeline.panels import command_lines, label_rows, shown_address, shown_path
from pipeline.session import Session
from pipeline.work.ensemble_gain import Gain
from pipeline.work.ensemble_members import Measured

_COLUMNS = 3  # measures that fit beside each other into 80 letters
_CALIBRATION = ("loss", "ece")


@dataclass(frozen=True, kw_only=True)
class Compared:
    """An ensemble and its members, measured on the same images.

    Attributes:
        labels: A short name of each member.
        models: Name of the model of each.
        seeds: Seed of the training of each.
        run_ids: The run of each.
        checkpoints: The file of each.
        weights: How much each counts; they sum to 1.
        fusion: How answers become one.
        monitor: The measure that training watched.
        members: What was measured of each.
        ensemble: What was measured of all together.
    """

    labels: Sequence[str]
    models: Sequence[str]
    seeds: Sequence[int]
    run_ids: Sequence[str]
    checkpoints: Sequence[str]
    weights: Sequence[float]
    fusion: str
    monitor: str
    members: Sequence[Measured]
    ensemble: Measured

    def mean(self, name: str) -> float:
        """A measure of the mean member."""
        values = [each.measures[name] for each in self.members]
        return sum(values) / len(values)

    @property
    def cost(self) -> float:
        """How many times the mean member's time the ensemble takes for an image."""
        seconds = [each.seconds for each in self.members]
        return self.ensemble.seconds * len(seconds) / sum(seconds)


def write(session: Session, compared: Compared, *, gain: Gain, mode: str) -> None:
    """Write metrics.json, ensemble.csv and the figure, and hand them to MLflow.

    Args:
        session: The run.
        compared: What was measured.
        gain: What joining is worth.
        mode: Whether `max` or `min` of the measure is better.
    """
    of_members = {f"mean_member/{name}": compared.mean(name) for name in compared.ensemble.measures}
    cost = {"cost/seconds_per_image": compared.ensemble.seconds, "cost/times_a_member": compared.cost}
    known = {name: value for name, value in {**gain.measures, **cost}.items() if math.isfinite(value)}
    beside = {**of_members, **known}
    session.keep_file(record.write_metrics(session.folder, {**compared.ensemble.measures, **beside}))
    table = session.folder / "ensemble.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = list(_rows(compared))
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    session.keep_file(table)
    figures = session.folder / "figures"
    figures.mkdir(exist_ok=True)
    values = [each.measures[f"test/{gain.name}"] for each in compared.members]
    drawn = gain_figure(
        name=gain.name,
        members=dict(zip(compared.labels, values, strict=True)),
        mean=compared.mean(f"test/{gain.name}"),
        ensemble=compared.ensemble.measures[f"test/{gain.name}"],
        over_mean=gain.over_mean,
        mode=mode,
    )
    drawn.savefig(figures / "ensemble.png")
    session.keep_file(figures / "ensemble.png", "figures")
    if session.logger is not None:
        session.logger.log_metrics(beside)


def _rows(compared: Compared) -> Iterable[dict[str, Any]]:
    """A line for each member, for their mean, and for the ensemble."""
    names = list(compared.ensemble.measures)
    for number, each in enumerate(compared.members):
        yield {
            "member": compared.labels[number],
            "run_id": compared.run_ids[number],
            "checkpoint": compared.checkpoints[number],
            "model": compared.models[number],
            "seed": compared.seeds[number],
            "weight": compared.weights[number],
            "seconds_per_image": each.seconds,
            **{name: each.measures[name] for name in names},
        }
    blank = dict.fromkeys(("run_id", "checkpoint", "model", "seed", "weight"), "")
    mean_seconds = sum(each.seconds for each in compared.members) / len(compared.members)
    means = {name: compared.mean(name) for name in names}
    yield {"member": "mean member", **blank, "seconds_per_image": mean_seconds, **means}
    whole = compared.ensemble
    yield {"member": "ensemble", **blank, "seconds_per_image": whole.seconds, **whole.measures}


def show(session: Session, compared: Compared, *, gain: Gain, draws: int | None) -> None:
    """The table of all, and the panel that ends the command.

    Args:
        session: The run.
        compared: What was measured.
        gain: What joining is worth.
        draws: Bootstrap samples that were asked for; None: a usual number.
    """
    name = f"run={session.run_id[:8]}"
    commands = {
        f"make evaluate {name} split=test": "measure and draw it like any other run",
        "make ui": "all runs side by side",
    }
    rows = {
        "gain": _gained(gain.over_mean, over="the mean member"),
        "": _gained(gain.over_best, over=f"{compared.labels[gain.best]}, the best on validation"),
        "calibration": _calibration(compared),
        "cost": _cost(compared),
        "fusion": compared.fusion,
        "folder": shown_path(session.folder),
        "MLflow": shown_address(session.tracker.address) if session.tracker else "",
    }
    parts: list[RenderableType] = [
        _table(compared, gain=gain),
        Text(_about(gain, wanted=draws), style="dim"),
        Text(),
        label_rows(rows),
        Text(),
    ]
    title = f"[bold]ensemble of {len(compared.members)}: run {session.run_id[:8]}[/]"
    panel = Panel(
        Group(*parts, command_lines(commands)),
        title=title,
        title_align="left",
        box=ROUNDED,
        border_style="green",
    )
    console.print(panel)


def _table(compared: Compared, *, gain: Gain) -> Table:
    measures = _shown(compared.ensemble.measures, first=gain.name)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("", "weight", *(f"test/{name}" for name in measures), "ms/image"):
        table.add_column(title, justify="right" if title else "left", no_wrap=bool(title))
    for label, weight, each in zip(compared.labels, compared.weights, compared.members, strict=True):
        table.add_row(label, f"{weight:.3f}", *_cells(each.measures, measures), f"{1000 * each.seconds:.3g}")
    means = {f"test/{name}": compared.mean(f"test/{name}") for name in measures}
    table.add_row("mean member", "", *_cells(means, measures), "", style="cyan")
    whole = compared.ensemble
    cells = _cells(whole.measures, measures)
    table.add_row("ensemble", "", *cells, f"{1000 * whole.seconds:.3g}", style="bold green")
    return table


def _shown(measures: Mapping[str, float], *, first: str) -> list[str]:
    """The measure that counts, calibration, and others as long as there is room."""
    names = [name.partition("/")[2] for name in measures if name.startswith("test/")]
    chosen = [name for name in (first, *_CALIBRATION, *names) if name in names]
    return list(dict.fromkeys(chosen))[:_COLUMNS]


def _cells(measures: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [f"{measures[f'test/{name}']:.4f}" for name in names]


def _about(gain: Gain, *, wanted: int | None) -> str:
    if wanted == 0:
        return "no intervals: draws=0"
    if not gain.draws:
        return "no intervals: there is one image, or the measure is not made of images"
    return f"in brackets: {CONFIDENCE:.0%} intervals of {gain.draws:,} bootstrap samples of the test images"


def _gained(found: Interval, *, over: str) -> str:
    between = f" [{found.low:+.4f}, {found.high:+.4f}]" if math.isfinite(found.low) else ""
    return f"{found.value:+.4f}{between} over {over}"


def _cost(compared: Compared) -> str:
    if not math.isfinite(compared.cost):
        return ""
    return f"{1000 * compared.ensemble.seconds:.3g} ms an image, {compared.cost:.2g} times a member's"


def _calibration(compared: Compared) -> str:
    """Of tasks that say how sure they are: before, of the mean member, and after."""
    measures = compared.ensemble.measures
    if "test/ece" not in measures:
        return ""
    words = {"test/ece": "ECE", "test/loss": "NLL"}
    changes = {word: f"{compared.mean(name):.4f} → {measures[name]:.4f}" for name, word in words.items()}
    return " · ".join(f"{word} {change}" for word, change in changes.items())
