"""Lists every model with its size, cost, source and paper."""

import fnmatch
import importlib
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.progress import track
from rich.table import Table

from pipeline import build
from pipeline.compose import CONF, Composed, compose_file
from pipeline.console import console, error_console
from pipeline.errors import Mistake
from pipeline.panels import shown_number

_PAPER = re.compile(r"https?://[^\s)>\]]+")
_LIBRARIES = {"torchvision": "torchvision", "timm": "timm", "segmentation_models_pytorch": "smp"}
# What a network is listed with where its configuration leaves it to the data.
_CLASSES = 1000
_IDENTITIES = 10  # of the digits
_SIDE = 224

Counter = Callable[[torch.nn.Module, torch.Tensor], int | None]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One model.

    Attributes:
        model: Its name, for `model=`.
        task: The task it belongs to.
        parameters: Number of parameters, at the number of classes it is listed with.
        multiply_adds: Multiply-adds of convolution and linear layers for one image; None: not countable.
        classes: Number of classes it is listed with; the size of an embedding where it gives embeddings,
            and None where it paints.
        input: Shape of one image: channels, height, width.
        source: Library that holds the network.
        paper: Address of the paper.
        description: One line.
    """

    model: str
    task: str
    parameters: int
    multiply_adds: int | None
    classes: int | None
    input: list[int]
    source: str
    paper: str
    description: str


def run(
    *,
    composed: Composed,
    task_name: str | None = None,
    format: Literal["table", "json"] = "table",
    filter: str = "*",
    source: Literal["project", "torchvision", "timm"] = "project",
) -> int:
    """List models.

    Args:
        composed: The whole configuration.
        task_name: Models of this task only; typed as `task=`.
        format: A table for people, JSON for programs.
        filter: Names that match this pattern.
        source: The project's own files, or the names that a library offers.

    Returns:
        The exit code, 0.
    """
    if source != "project":
        return _list_library(source, pattern=filter, format=format)
    files = [path for path in sorted((CONF / "model").glob("*.yaml")) if fnmatch.fnmatch(path.stem, filter)]
    count = build.node(composed.config["count"])
    entries = [
        _entry(path, count=count) for path in track(files, "building", console=error_console, transient=True)
    ]
    shown = [entry for entry in entries if task_name in (None, entry.task)]
    if not shown:
        raise Mistake(f"no model matches task={task_name} filter={filter}; `make models` lists all")
    if format == "json":
        print(json.dumps([asdict(entry) for entry in shown], indent=1))
    else:
        console.print(_table(shown))
    return 0


def _entry(path: Path, *, count: Counter) -> Entry:
    node = compose_file("model", path.stem)
    builder = _imported(node["_target_"])
    listed = _as_published(node)
    # A model that is built around a network sees what the network sees.
    seeing = listed.get("network", listed)
    side = seeing.get("image_size", _SIDE)
    shape = [seeing.get("in_channels", 3), side, side]
    # On the meta device nothing is allocated and nothing computed: the largest network takes a moment.
    with torch.device("meta"):
        network = build.node(listed)
    return Entry(
        model=path.stem,
        task=node["_target_"].split(".")[2],
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=count(network.eval(), torch.empty(1, *shape, device="meta")),
        classes=seeing.get("num_classes"),
        input=shape,
        source=_library(network),
        paper=_paper(builder),
        description=(inspect.getdoc(builder) or "").splitlines()[0],
    )


def _as_published(node: dict[str, Any]) -> dict[str, Any]:
    """What the configuration leaves to the data, as the builder's signature has it: the published form."""
    defaults: dict[str, Any] = {
        "num_classes": _CLASSES,
        "in_channels": 3,
        "image_size": _SIDE,
        "num_identities": _IDENTITIES,
        "content_size": [_SIDE, _SIDE],
    }
    for name, parameter in inspect.signature(_imported(node["_target_"])).parameters.items():
        if parameter.default not in (None, inspect.Parameter.empty):
            defaults[name] = parameter.default
    filled = {key: defaults.get(key) if value is None else value for key, value in node.items()}
    for part in ("network", "features"):
        if part in node:
            filled[part] = _as_published(node[part])
    return build.without_weights(filled)


def _imported(target: str) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _library(network: torch.nn.Module) -> str:
    # A detector or segmenter of ours only translates for the network inside it.
    inner = getattr(network, "network", network)
    return _LIBRARIES.get(type(inner).__module__.partition(".")[0], "own")


def _paper(builder: Any) -> str:
    found = _PAPER.search(inspect.getdoc(builder) or "")
    return found.group().rstrip(".,") if found else ""


def _table(entries: list[Entry]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    table.title = "make train task=TASK model=NAME"
    table.add_column("model", no_wrap=True)
    for name in ("parameters", "mult-adds", "input"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("source", no_wrap=True)
    table.add_column("paper", overflow="fold")
    for task in sorted({entry.task for entry in entries}):
        table.add_row(f"[bold]{task}[/bold]")
        for entry in entries:
            if entry.task == task:
                table.add_row(*_cells(entry))
    return table


def _cells(entry: Entry) -> list[str]:
    adds = "" if entry.multiply_adds is None else shown_number(entry.multiply_adds)
    shape = "x".join(map(str, entry.input))
    paper = entry.paper.removeprefix("https://")
    return [f"  {entry.model}", f"{entry.parameters:,}", adds, shape, entry.source, paper]


def _list_library(source: str, *, pattern: str, format: str) -> int:
    names = _library_names(source, pattern)
    if not names:
        raise Mistake(f"source={source} filter={pattern}: no name matches; leave filter= out to see all")
    if format == "json":
        print(json.dumps(names, indent=1))
    else:
        console.print("\n".join(names))
        console.print(f"{len(names)} names; make train model={source} model.name=NAME")
    return 0


def _library_names(source: str, pattern: str) -> list[str]:
    if source == "timm":
        import timm

        return list(timm.list_models(pattern))
    import torchvision

    return list(torchvision.models.list_models(module=torchvision.models, include=pattern))
