"""The tables that are written about image files, and what is said of those that cannot be read."""

from collections.abc import Mapping
from datetime import datetime
from itertools import chain, count
from pathlib import Path

import pandas as pd
from rich.markup import escape

from pipeline.console import console
from pipeline.errors import Mistake

_TABLES = (".csv", ".json", ".parquet")


def table_path(output: str | None, *, folder: Path) -> Path:
    """Where a table goes; its folder is made.

    Args:
        output: What a person typed as `output=`; None: a file in the folder, named by the time.
        folder: Where tables go that nobody named.

    Raises:
        Mistake: The ending is not that of a table.
    """
    path = Path(output).expanduser() if output else folder / f"{datetime.now():%Y-%m-%d_%H-%M-%S}.csv"
    if path.suffix not in _TABLES:
        raise Mistake(f"output={output}: the ending says the format; choose one of {', '.join(_TABLES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table in the format that the ending says."""
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".json":
        frame.to_json(path, orient="records", indent=1)
    else:
        frame.to_parquet(path, index=False)


def unused(path: Path) -> Path:
    """The same path, with a number behind its name where there is something already."""
    numbered = (path.with_stem(f"{path.stem}_{number}") for number in count(2))
    return next(candidate for candidate in chain([path], numbered) if not candidate.exists())


def tell_broken(broken: Mapping[Path, str]) -> None:
    """List the files that could not be read, with what is wrong with each."""
    for path, error in broken.items():
        said = error if str(path) in error else f"{path}: {error}"
        console.print(f"[red]could not be read[/red] {escape(said)}", soft_wrap=True)
