"""What a person reads before and after a run: one panel each, whatever the task."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

LABEL = "bold cyan"


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What is known of a run before its first step.

    Attributes:
        task: Name of the task.
        model: Name of the model.
        parameters: Number of weights.
        trainable_parameters: Those that are trained.
        multiply_adds: Of one image; None where it cannot be counted.
        data: Name of the data set.
        sizes: Images of each split.
        class_counts: What the training split has of each class; empty where there are no classes.
        counted: What the counts count.
        class_names: Names of the classes, as many as counts.
        identities: Of each split; empty where there are classes.
        pairs: What is compared in the test: numbers of matching and of other pairs; empty where nothing is.
        notes: What else there is to say of what is trained, by label.
        batch_size: Images in one step of one process.
        accumulated: Steps that share one update.
        processes: Number of processes that train together, each with a device.
        learning_rate: Largest learning rate of the run.
        recipe_rate: What the configuration says, for one process; None where that is the same.
        scaling: By which rule the one became the other.
        optimizer: Name of the optimiser.
        scheduler: Name of the schedule; empty for none.
        epochs: Passes over the training split; None where steps or time end the run.
        device: What trains, in words.
        precision: Lightning's word, such as 32-true.
        folder: The run's folder.
        tracking: Address of MLflow; empty where there is none.
        run_id: The run's id.
        resumed: What a resumed run goes on from, in words; empty for a new run.
    """

    task: str
    model: str
    parameters: int
    trainable_parameters: int
    multiply_adds: int | None
    data: str
    sizes: Mapping[str, int]
    class_counts: Sequence[int] = ()
    class_names: Sequence[str] = ()
    counted: str = "images"
    identities: Mapping[str, int] = field(default_factory=dict)
    pairs: Sequence[int] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    batch_size: int
    accumulated: int = 1
    processes: int = 1
    learning_rate: float
    recipe_rate: float | None = None
    scaling: str = ""
    optimizer: str
    scheduler: str = ""
    epochs: int | None
    device: str
    precision: str
    folder: Path
    tracking: str = ""
    run_id: str = ""
    resumed: str = ""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run came to.

    Attributes:
        status: FINISHED, FAILED or KILLED.
        measure: Name of the measure that counts, such as test/top1.
        mode: Whether more or less of it is better.
        measures: Every measure of the kept weights.
        baselines: The same measure without learning, such as {"majority class": 0.1}.
        kept: Which weights were kept, in words.
        seconds: Duration of the run.
        images_per_second: Of training, over all devices; None where nothing could be timed.
        peak_memory: Bytes, the most of any process; 0 where nobody knows.
        folder: The run's folder.
        picture: Path of the picture that was painted; empty where none was.
        places: What lies in the folder, such as figures/ and metrics.json.
        tracking: Address of MLflow; empty where there is none.
        commands: What to type next, with a reason each: {"make ui": "see every run"}.
    """

    status: Literal["FINISHED", "FAILED", "KILLED"]
    measure: str
    mode: Literal["max", "min"]
    measures: Mapping[str, float]
    baselines: Mapping[str, float] = field(default_factory=dict)
    kept: str
    seconds: float
    images_per_second: float | None = None
    peak_memory: int = 0
    folder: Path
    picture: str = ""
    places: Sequence[str] = ()
    tracking: str = ""
    commands: Mapping[str, str] = field(default_factory=dict)


def first_panel(facts: RunFacts) -> RenderableType:
    """Task, model, data, optimisation, device and addresses of a run that starts."""
    rows = {
        "model": _model(facts),
        "data": _data(facts),
        "balance": _balance(facts.class_counts, facts.class_names, facts.counted),
        "identities": _sizes(facts.identities),
        "test pairs": " · ".join(
            f"{count:,} {kind}" for count, kind in zip(facts.pairs, ("matching", "others"), strict=False)
        ),
        **facts.notes,
        "training": _training(facts),
        "device": f"{facts.device}, {facts.precision}",
        "folder": shown_path(facts.folder),
        "MLflow": _join(shown_address(facts.tracking), f"run {facts.run_id[:8]}" if facts.run_id else ""),
        "resumed": facts.resumed,
    }
    return Panel(
        label_rows(rows), title=f"[bold]{facts.task}[/]", title_align="left", box=ROUNDED, border_style="cyan"
    )


def last_panel(result: RunResult) -> RenderableType:
    """Result against the baselines, where everything lies, and what to type next."""
    parts: list[RenderableType] = [_comparison(result), Text()]
    rows = {
        "picture": result.picture,
        "weights": result.kept,
        "measures": _measures(result),
        "speed": _speed(result),
        "folder": shown_path(result.folder),
        "holding": _join(*result.places),
        "MLflow": shown_address(result.tracking),
    }
    parts.append(label_rows(rows))
    if result.commands:
        parts += [Text(), command_lines(result.commands)]
    colour = {"FINISHED": "green", "KILLED": "yellow", "FAILED": "red"}[result.status]
    title = f"[bold]{result.status.lower()} after {shown_time(result.seconds)}[/]"
    return Panel(Group(*parts), title=title, title_align="left", box=ROUNDED, border_style=colour)


def shown_number(count: float) -> str:
    """Three figures and a unit: 61706 is 61.7 k."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:g}"


def shown_time(seconds: float) -> str:
    """Hours, minutes and seconds as far as they matter: 75 is 1:15."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def shown_path(path: Path) -> str:
    """Relative where that is shorter, so that it can be copied to the next command."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def shown_address(uri: str) -> str:
    """A server's address; of a local database its file."""
    scheme, _, path = uri.partition(":///")
    return f"{shown_path(Path(path))} (make ui shows it)" if scheme == "sqlite" else uri


def _model(facts: RunFacts) -> str:
    frozen = facts.parameters - facts.trainable_parameters
    return _join(
        facts.model,
        f"{shown_number(facts.parameters)} parameters",
        f"{shown_number(facts.trainable_parameters)} of them trained" if frozen else "",
        f"{shown_number(facts.multiply_adds)} multiply-adds an image" if facts.multiply_adds else "",
    )


def _data(facts: RunFacts) -> str:
    return _join(facts.data, _sizes(facts.sizes))


def _sizes(sizes: Mapping[str, int]) -> str:
    return " ".join(f"{split} {size:,}" for split, size in sizes.items())


def _balance(counts: Sequence[int], names: Sequence[str], counted: str) -> str:
    if not counts:
        return ""
    fewest, most = min(counts), max(counts)
    if fewest == most:
        return f"{len(counts)} classes with {most:,} {counted} each"
    named = len(names) == len(counts)
    words = [f" ({names[counts.index(count)]})" if named else "" for count in (fewest, most)]
    return f"{len(counts)} classes with {fewest:,}{words[0]} to {most:,}{words[1]} {counted}"


def _training(facts: RunFacts) -> str:
    return _join(
        f"{facts.epochs} epoch{'s' if facts.epochs > 1 else ''}" if facts.epochs else "",
        _batch(facts),
        f"{facts.optimizer} at {facts.learning_rate:.3g}{_scaled(facts)}",
        facts.scheduler,
    )


def _batch(facts: RunFacts) -> str:
    """What one update sees: 2 processes x batch 32 = 64."""
    processes = f"{facts.processes} processes x " if facts.processes > 1 else ""
    accumulated = f" x {facts.accumulated} accumulated" if facts.accumulated > 1 else ""
    effective = facts.batch_size * facts.accumulated * facts.processes
    result = f" = {effective}" if processes or accumulated else ""
    return f"{processes}batch {facts.batch_size}{accumulated}{result}"


def _scaled(facts: RunFacts) -> str:
    if facts.recipe_rate is None or facts.recipe_rate == facts.learning_rate:
        return ""
    times = facts.learning_rate / facts.recipe_rate
    return f" ({facts.recipe_rate:.3g} x {times:.3g}, {facts.scaling})"


def _join(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def label_rows(rows: Mapping[str, str]) -> Table:
    """Labels with their texts, those that have any."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style=LABEL, no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows.items():
        if text:
            table.add_row(label, Text(text, overflow="fold"))
    return table


def _measures(result: RunResult) -> str:
    stage = result.measure.partition("/")[0]
    chosen = {name: value for name, value in result.measures.items() if name.startswith(f"{stage}/")}
    return _join(*(f"{name.partition('/')[2]} {value:.4g}" for name, value in sorted(chosen.items())))


def _speed(result: RunResult) -> str:
    return _join(
        f"{shown_number(float(f'{result.images_per_second:.3g}'))} images a second in training"
        if result.images_per_second
        else "",
        f"{result.peak_memory / 2**30:.3g} GiB of memory at the peak" if result.peak_memory else "",
    )


def _comparison(result: RunResult) -> RenderableType:
    """The measure beside those without learning, best first, as bars."""
    value = result.measures.get(result.measure)
    if value is None:
        return Text(f"no {result.measure}: the run ended before it was measured")
    values = {result.measure: value, **result.baselines}
    table = Table.grid(padding=(0, 2))
    largest = max(abs(number) for number in values.values()) or 1.0
    for name, number in sorted(values.items(), key=lambda item: item[1], reverse=result.mode == "max"):
        style = "bold green" if name == result.measure else "dim"
        bar = "━" * max(1, round(30 * abs(number) / largest))
        table.add_row(Text(name, style=style), Text(f"{number:.4f}", style=style), Text(bar, style=style))
    return Group(table, _verdict(result, value)) if result.baselines else table


def _verdict(result: RunResult, value: float) -> Text:
    sign = 1 if result.mode == "max" else -1
    name, rival = max(result.baselines.items(), key=lambda item: sign * item[1])
    if sign * value > sign * rival:
        return Text(f"better than {name} by {abs(value - rival):.4f}", style="green")
    return Text(f"no better than {name}, which learns nothing", style="bold yellow")


def command_lines(commands: Mapping[str, str]) -> RenderableType:
    """Each on a line of its own below its reason: to be copied in one piece."""
    lines = []
    for command, reason in commands.items():
        lines += [Text(reason, style="dim"), Text(f"  $ {command}", style="bold", overflow="fold")]
    return Group(*lines)
