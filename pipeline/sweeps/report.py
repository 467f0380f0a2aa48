"""The last panel of a sweep: its best trials, what failed and why, and what to type next."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.box import ROUNDED, SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline.console import console
from pipeline.panels import command_lines, label_rows, shown_address, shown_path, shown_time
from pipeline.sweeps.best import front, ranked
from pipeline.sweeps.folder import Sweep
from pipeline.sweeps.jobs import Result
from pipeline.sweeps.remains import BEST, Remains, train_command
from pipeline.sweeps.table import run_id_of
from pipeline.sweeps.varied import Axis, axes_of, brief, short_keys, shown

SHOWN = 10
"""Trials on the terminal; the table on disk has all."""

_MOST_FAILED = 5


def show(
    sweep: Sweep,
    results: Sequence[Result],
    *,
    root: Path,
    remains: Remains,
    address: str = "",
) -> None:
    """Print the last panel.

    Args:
        sweep: The sweep.
        results: Of the trials that have ended.
        root: The project's root folder.
        remains: What was written of it.
        address: Where MLflow shows it; empty where it does not.
    """
    console.print(last_panel(sweep, results, root=root, remains=remains, address=address))


def last_panel(
    sweep: Sweep, results: Sequence[Result], *, root: Path, remains: Remains, address: str = ""
) -> RenderableType:
    """What `show` prints."""
    best = ranked(results, sweep.objectives)
    parts: list[RenderableType] = [_table(sweep, best[:SHOWN])] if best else [_nothing(results)]
    failed = [result for result in results if result.status in ("FAILED", "KILLED")]
    if failed:
        parts += [_failures(failed, root=root), Text()]
    parts.append(label_rows(_rows(sweep, results, best=best, remains=remains, address=address)))
    parts += [Text(), command_lines(_commands(sweep, root=root, has_best=bool(best)))]
    colour = "green" if best and not failed else "yellow"
    title = f"[bold]{_title(results)}[/]"
    return Panel(Group(*parts), title=title, title_align="left", box=ROUNDED, border_style=colour)


def _title(results: Sequence[Result]) -> str:
    endings = [result.status for result in results]
    words = {"FINISHED": "finished", "PRUNED": "pruned", "FAILED": "failed", "KILLED": "interrupted"}
    counts = [f"{endings.count(key)} {word}" for key, word in words.items() if key in endings]
    seconds = sum(outcome.seconds for result in results for outcome in result.outcomes)
    trials = f"{len(results)} trial{'' if len(results) == 1 else 's'}"
    return f"{trials}: {', '.join(counts) or 'none ended'} · {shown_time(seconds)} of training"


def _nothing(results: Sequence[Result]) -> RenderableType:
    return Text("no trial has finished: there is no best one" if results else "no trial has ended")


def _table(sweep: Sweep, best: Sequence[Result]) -> Table:
    """The best trials with the keys in which trials differ."""
    axes = axes_of(best, space={})
    names = short_keys(axis.name for axis in axes)
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("trial", justify="right")
    for axis in axes:
        # A heading may take several lines, so that the values need not.
        heading = names[axis.name].replace("_", "_\n")
        is_number = axis.scale != "category"
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=is_number)
    for goal in [*sweep.objectives, *([] if "seconds" in sweep.objectives else ["time"]), "run"]:
        table.add_column(goal.replace("/", "/\n"), justify="right", no_wrap=True)
    for place, result in enumerate(best):
        table.add_row(
            *map(Text, _cells(sweep, result, axes=axes, place=place)),
            style="bold green" if place == 0 else "",
        )
    return table


def _cells(sweep: Sweep, result: Result, *, axes: Sequence[Axis], place: int) -> list[str]:
    run = run_id_of(result, folder=sweep.folder)
    return [
        str(result.trial.number),
        *(shown(axis.values[place]) for axis in axes),
        *(_with_deviation(result, name) for name in sweep.objectives),
        *([] if "seconds" in sweep.objectives else [_cost(result)]),
        (run or "")[:8],
    ]


def _cost(result: Result) -> str:
    return shown_time(sum(outcome.seconds for outcome in result.outcomes))


def _with_deviation(result: Result, name: str) -> str:
    value = f"{result.values[name]:.4f}" if name in result.values else ""
    return f"{value} ± {result.deviations[name]:.4f}" if name in result.deviations else value


def _failures(failed: Sequence[Result], *, root: Path) -> RenderableType:
    """Each trial that ended early with the reason that its run gave, the first ones at least."""
    lines = [
        Text(f"trial {result.trial.number} ({brief(result.trial.overrides)}): {_reason(result, root=root)}")
        for result in failed[:_MOST_FAILED]
    ]
    more = len(failed) - len(lines)
    if more:
        lines.append(Text(f"and {more} more; table.csv has all", style="dim"))
    return Group(Text("not finished", style="bold yellow"), *lines)


def _reason(result: Result, *, root: Path) -> str:
    """What its run said, and where all of it stands."""
    failed = next((outcome for outcome in result.outcomes if outcome.status != "FINISHED"), None)
    log = root / failed.folder / "run.log" if failed is not None and failed.folder else None
    by_itself = "interrupted" if result.status == "KILLED" else "failed"
    said = result.message or (failed.message if failed else "") or by_itself
    return f"{said} (see {shown_path(log)})" if log is not None and log.exists() else said


def _rows(
    sweep: Sweep, results: Sequence[Result], *, best: Sequence[Result], remains: Remains, address: str
) -> dict[str, str]:
    goals = sweep.objectives
    found = (
        " · ".join(f"{name} {_with_deviation(best[0], name)} ({goals[name]})" for name in goals)
        if best
        else ""
    )
    words = brief(best[0].trial.overrides, longest=400) if best else ""
    folders = dict.fromkeys(f"{folder}/" if folder else path.name for path, folder in remains.files.items())
    return {
        "best": found,
        "by": words,
        "front": _front(sweep, results) if len(goals) > 1 and best else "",
        "depends on": _importance(remains, finished=len(best)),
        "folder": shown_path(sweep.folder),
        "holding": " · ".join(folders),
        "MLflow": " · ".join(
            part for part in (shown_address(address), f"run {sweep.sweep_id[:8]}" if address else "") if part
        ),
    }


def _front(sweep: Sweep, results: Sequence[Result]) -> str:
    """The trials among which only a person can choose."""
    numbers = [result.trial.number for result in front(results, sweep.objectives)]
    return f"no other beats trial {', '.join(map(str, numbers))}: experiment=trial_{numbers[0]}"


def _importance(remains: Remains, *, finished: int) -> str:
    """By what the first objective is moved most; that nothing can be said with too few trials."""
    for name, shares in remains.importance.items():
        return f"{', '.join(f'{key} {share:.0%}' for key, share in list(shares.items())[:4])} (of {name})"
    if len(remains.axes) < 2 or not finished:
        return ""
    return f"nothing can be said of {finished} finished trial{'' if finished == 1 else 's'}"


def _commands(sweep: Sweep, *, root: Path, has_best: bool) -> dict[str, str]:
    """What to type next."""
    short = sweep.sweep_id[:8]
    going_on = {f"make sweep resume={short}": "go on with this sweep"}
    after = {
        train_command(sweep, root=root, name=BEST): "train the best one again",
        f"make compare sweep={short}": "which differences are more than chance",
        f"make sweep sweep=fine from={short}": "look closer, around the best ones",
        "make ui": "its curves, side by side",
    }
    is_open = sweep.facts.get("status") not in (None, "FINISHED", "RUNNING")
    return {
        **(going_on if is_open else {}),
        **(after if has_best else {"make ui": "what there is of its runs"}),
    }
