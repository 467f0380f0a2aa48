"""Reads a data set, and says what it holds and what is broken in it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from pipeline import build
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.devices import ChannelsLast
from pipeline.errors import EXIT_FAILURE, Mistake
from pipeline.panels import shown_path


def run(
    *,
    composed: Composed,
    seed: int,
    resume: str | None = None,
    channels_last: ChannelsLast = "auto",
    compile: bool = False,
    batch_size_finder: bool = False,
    show: int = 20,
    output: str | None = None,
) -> int:
    """Print the report of a data set, and write it as JSON.

    Args:
        composed: The whole configuration.
        seed: Not used here.
        resume: Not used here.
        channels_last: Not used here.
        compile: Not used here.
        batch_size_finder: Not used here.
        show: Broken records to print.
        output: A JSON file; None: outputs/data/.

    Returns:
        0, or 1 where something is broken.
    """
    path = _path(output, composed=composed)
    with console.status("reading the data"):
        datamodule: Any = build.datamodule(composed.config)
        datamodule.prepare_data()
        report: dict[str, Any] = datamodule.inspect()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1), encoding="utf-8")
    for table in report["tables"]:
        console.print(_table(table))
    problems: Sequence[Mapping[str, Any]] = report["problems"]
    _tell(problems, show=show, skips=composed.config["data"].get("on_error") == "skip")
    console.print(f"report    {shown_path(path)}", soft_wrap=True)
    return EXIT_FAILURE if problems else 0


def _path(output: str | None, *, composed: Composed) -> Path:
    if output is None:
        name = f"{composed.config['choices']['data']}_{datetime.now():%Y-%m-%d_%H-%M-%S}.json"
        return composed.root / "outputs" / "data" / name
    if not output.endswith(".json"):
        raise Mistake(f"output={output}: the report is JSON; give a name that ends in .json")
    return Path(output)


def _table(content: Mapping[str, Any]) -> Table:
    table = Table(title=content["title"], title_justify="left", title_style="bold")
    for number, column in enumerate(content["columns"]):
        table.add_column(str(column), justify="right" if number else "left")
    for row in content["rows"]:
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _tell(problems: Sequence[Mapping[str, Any]], *, show: int, skips: bool) -> None:
    if not problems:
        console.print("[green]nothing is broken[/green]")
        return
    console.print(f"[red]{len(problems):,} broken record{'s' if len(problems) > 1 else ''}[/red]")
    for problem in problems[:show]:
        line = f":{problem['line']}" if problem["line"] is not None else ""
        record = f" {problem['record']}:" if problem["record"] else ""
        console.print(f"{problem['file']}{line}:{record} {problem['problem']}", soft_wrap=True, markup=False)
    if len(problems) > show:
        console.print(f"... and {len(problems) - show:,} more in the report")
    if skips:
        console.print("data.on_error=skip: training leaves out what it cannot use")
    else:
        console.print("training stops at them; data.on_error=skip leaves them out")
