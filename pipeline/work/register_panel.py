"""What a person reads after `make register`: the version, whose it is, and how to use it."""

import json
from dataclasses import dataclass
from pathlib import Path

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from pipeline.panels import command_lines, label_rows, shown_address, shown_path
from pipeline.registry import SCHEME
from pipeline.runs import Run
from pipeline.tracking_identity import public_address
from pipeline.tracking_store import tracking_uri


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version of a registered model.

    Attributes:
        name: Of the model.
        version: Its number.
        is_new: Whether it was made now; else the same network was registered before.
        alias: That it was given; None for none.
        taken_from: The version that had the alias before; None where none other had.
        run: Whose network it is.
    """

    name: str
    version: int
    is_new: bool
    alias: str | None
    taken_from: int | None
    run: Run

    @property
    def address(self) -> str:
        """How other commands name it."""
        return f"{SCHEME}{self.name}" + (f"@{self.alias}" if self.alias else f"/{self.version}")


def panel(registered: Registered, *, root: Path) -> RenderableType:
    """The version with its alias, its run's measures, and what to type next.

    Args:
        registered: The version.
        root: The project's root folder.
    """
    uri, run = public_address(tracking_uri(root)), registered.run
    model = run.folder.parent.name
    rows = {
        "version": f"{registered.version}{'' if registered.is_new else ', which was there before'}",
        "alias": _alias(registered),
        "network": f"{model} of task={run.task}, run {run.run_id[:8]}",
        "measures": _measures(run.folder / "metrics.json"),
        "folder": shown_path(run.folder),
        "MLflow": shown_address(uri),
    }
    return Panel(
        Group(label_rows(rows), Text(), command_lines(_commands(registered, uri=uri))),
        title=f"[bold]{registered.name}[/]",
        title_align="left",
        box=ROUNDED,
        border_style="green",
    )


def _alias(registered: Registered) -> str:
    before = f", until now of version {registered.taken_from}" if registered.taken_from else ""
    return f"{registered.alias}{before}" if registered.alias else ""


def _measures(path: Path) -> str:
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    chosen = {name: value for name, value in found.items() if name.startswith("test/") and value is not None}
    return " · ".join(f"{name} {value:.4g}" for name, value in sorted(chosen.items()))


def _commands(registered: Registered, *, uri: str) -> dict[str, str]:
    address = f"'{registered.address}'" if " " in registered.address else registered.address
    # MLflow starts uvicorn by its bare name, so that the environment's programs must be found.
    serve = f"PATH=$PWD/.venv/bin:$PATH MLFLOW_TRACKING_URI={uri} mlflow models serve -m {address}"
    return {
        f"make evaluate run={address}": "measure it",
        f"{serve} --env-manager local --port 5001": "let it answer to POST /invocations",
        "make ui": "see it below Models",
    }
