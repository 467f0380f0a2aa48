"""What a person reads of an average: both sides of the comparison, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from pipeline.console import console
from pipeline.panels import shown_path
from pipeline.session import Session


@dataclass(frozen=True, kw_only=True)
class Sides:
    """An average beside the weights it was compared with.

    Attributes:
        which: How it was made.
        monitor: The measure that decided.
        parents: Ids of the runs that are in it.
        rival: What it was compared with, for people to read.
        sources: The checkpoints that are in it.
        before: Measures of the other on validation.
        after: Its own.
    """

    which: str
    monitor: str
    parents: Sequence[str]
    rival: str
    sources: Sequence[Path]
    before: dict[str, float]
    after: dict[str, float]


def show_left(sides: Sides) -> None:
    """Say that the average is worse, and that nothing was kept of it."""
    if len(sides.sources) < 2:
        console.print(
            f"no run made the mean better than {sides.rival} alone; nothing was kept", soft_wrap=True
        )
        return
    console.print(_table(sides))
    console.print(
        f"the average is worse by {sides.monitor}; nothing was kept", style="yellow", soft_wrap=True
    )


def show_kept(sides: Sides, *, session: Session, test: dict[str, float]) -> None:
    """Say that it is no worse, what it measures on test, and where it lies."""
    console.print(_table(sides))
    measured = " · ".join(f"{name} {value:.4g}" for name, value in sorted(test.items()))
    path = shown_path(session.folder / "checkpoints" / "average.ckpt")
    console.print(
        f"no worse by {sides.monitor}: kept as run {session.run_id[:8]}\n{measured}\nweights  {path}\n"
        f"  $ make evaluate run={session.run_id[:8]} split=test",
        style="green",
        soft_wrap=True,
    )


def _table(sides: Sides) -> Table:
    """Measures of validation side by side."""
    names = ", ".join(path.name for path in sides.sources)
    of_runs = " ".join(run_id[:8] for run_id in sides.parents)
    table = Table(
        title=f"{sides.which}: the mean of {names} of run {of_runs}", title_justify="left", title_style="bold"
    )
    table.add_column("validation")
    table.add_column(sides.rival, justify="right")
    table.add_column("average", justify="right")
    for name in sorted(sides.before.keys() & sides.after.keys()):
        style = "bold" if name == sides.monitor else ""
        table.add_row(name, f"{sides.before[name]:.4f}", f"{sides.after[name]:.4f}", style=style)
    return table
