"""What ends a comparison on the terminal: what was found, where it lies, and what to type next."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from pipeline.comparing.leaderboard import Leaderboard
from pipeline.comparing.report import Report
from pipeline.comparing.tracked import Kept
from pipeline.panels import command_lines, label_rows, shown_path


def next_commands(board: Leaderboard, *, asked: Sequence[str], was_paired: bool) -> dict[str, str]:
    """What a person may want to do with what the table shows.

    Args:
        board: The rows.
        asked: The words that were typed.
        was_paired: Whether two networks were measured on the same images.
    """
    best = board.groups[0].first.name
    commands = {f"make evaluate run={best} split=test": "measure and draw the best row again"}
    if not was_paired and len(board.groups) > 1:
        words = " ".join(word for word in asked if not word.startswith("paired="))
        typed = words.replace("task_name=", "task=").replace("sweep_name=", "sweep=")
        again = " ".join(word for word in ("make compare", typed, "paired=true") if word)
        commands[again] = "is the best row better, or luckier? both on the same images"
    return {**commands, "make ui": "curves, pictures and all runs in MLflow"}


def last_panel(report: Report, *, paths: Sequence[Path], kept: Kept, console: Console) -> None:
    """Say what was found, where it is, and what to type next.

    Args:
        report: What was found.
        paths: Its files, the page first.
        kept: Where MLflow has it.
        console: Where to.
    """
    parts: list[RenderableType] = [Text(f"• {line}") for line in report.findings]
    if parts:
        parts.append(Text())
    rows = {
        "page": shown_path(paths[0]),
        "files": " · ".join(path.name for path in paths[1:]),
        "MLflow": kept.where,
    }
    parts += [label_rows(rows), Text(), command_lines(report.commands)]
    title = f"[bold]compared: {report.board.title}[/]"
    console.print(Panel(Group(*parts), title=title, title_align="left", box=ROUNDED, border_style="green"))
    if kept.page:
        console.print(f"the same runs side by side in MLflow:\n{kept.page}", soft_wrap=True, markup=False)
