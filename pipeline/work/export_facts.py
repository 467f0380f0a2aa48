"""What is said of an exported network: inside it, beside it, and to the person who made it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.box import ROUNDED
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline.console import console
from pipeline.export_paths import facts_path
from pipeline.panels import LABEL, shown_path
from pipeline.work.export_check import Checked
from pipeline.work.export_files import Shape
from pipeline.work.loading import Trained


def facts_of(trained: Trained, exported: Any, *, shape: Shape, format: str) -> dict[str, Any]:
    """Everything that who runs the file must know, as plain values.

    Args:
        trained: Whose network it is.
        exported: What the task says of itself.
        shape: Of what goes in.
        format: `onnx` or `torch`.
    """
    choices, metadata = trained.config["choices"], trained.metadata
    return {
        "task": choices["task"],
        "model": choices["model"],
        "format": format,
        **exported.facts,
        "inputs": {
            name: {"shape": words, "type": "uint8, RGB, 0 to 255"}
            for name, words in shape.words(exported).items()
        },
        "outputs": {each.name: {"shape": _lengths(each.shape, shape)} for each in exported.outputs},
        "image_size": shape.size or metadata.get("image_size"),
        "preprocessing": "inside: whole numbers go in; mean and std are said for the record",
        "mean": metadata.get("mean"),
        "std": metadata.get("std"),
        "run_id": trained.run_id,
        "torch": torch.__version__,
        "checkpoint_sha256": _digest(trained.path),
    }


def write_facts(facts: Mapping[str, Any], path: Path) -> None:
    """Write them as JSON."""
    path.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")


def tell(facts: Mapping[str, Any], *, checked: Checked, path: Path) -> None:
    """Show what was written, and how it answered."""
    rows = {
        "file": f"{shown_path(path)} ({path.stat().st_size / 1e6:.1f} MB)",
        "facts": shown_path(facts_path(path)),
        "takes": _named(facts["inputs"]) + ", uint8 RGB as read from a file",
        "gives": _named(facts["outputs"]),
        "checked": f"differs from the run by at most {checked.difference:.1g} of the range (allowed "
        f"{facts['checked']['tolerance']:.1g}), on {checked.pictures} {checked.source}",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style=LABEL, no_wrap=True)
    table.add_column(overflow="fold")
    for label, words in rows.items():
        table.add_row(label, Text(words, overflow="fold"))
    title = f"[bold]{facts['model']} as {facts['format']}[/]"
    console.print(Panel(table, title=title, title_align="left", box=ROUNDED, border_style="green"))


def _lengths(words: tuple[int | str, ...], shape: Shape) -> list[int | str]:
    """With numbers for those that are fixed."""
    fixed = {"batch": shape.batch, "height": shape.size, "width": shape.size}
    return [fixed.get(str(word)) or word for word in words]


def _named(values: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{name} ({', '.join(map(str, each['shape']))})" for name, each in values.items())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
