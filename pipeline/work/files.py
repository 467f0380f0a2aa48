"""Image files that a person names, and the tables that are written about them."""

import glob
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pandas as pd
from rich.markup import escape

from pipeline.console import console
from pipeline.errors import Mistake

ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
"""Of what is taken for an image when a folder is searched."""

_TABLES = (".csv", ".json", ".parquet")


def find_images(pattern: str) -> list[Path]:
    """The image files that `input=` means, sorted.

    Args:
        pattern: A file, a folder, or a glob.

    Raises:
        Mistake: Nothing is there, or nothing that looks like an image.
    """
    path = Path(pattern).expanduser()
    if path.is_file():
        return [path]
    found = path.rglob("*") if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))
    images = sorted(file for file in found if is_image(file))
    if not images:
        raise Mistake(
            f"input={pattern}: no images here; give a file, a folder or a glob in quotes ({shown_endings()})"
        )
    return images


def is_image(path: Path) -> bool:
    """Whether a file's name says that it is an image."""
    return path.suffix.lower() in ENDINGS


def shown_endings() -> str:
    """The endings of images, for messages."""
    return " ".join(sorted(ENDINGS))


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


def tell_broken(broken: Mapping[Path, str]) -> None:
    """List the files that could not be read, with what is wrong with each."""
    for path, error in broken.items():
        said = error if str(path) in error else f"{path}: {error}"
        console.print(f"[red]could not be read[/red] {escape(said)}", soft_wrap=True)
