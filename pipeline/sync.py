"""`make sync`: send what waits on disk because the MLflow server was away."""

import sys
from pathlib import Path

from rich.table import Table
from rich.text import Text

from pipeline.compose import Composed, run_verb
from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.panels import shown_path
from pipeline.runs import find_run
from pipeline.sweeps.folder import all_sweeps
from pipeline.tracking_identity import public_address
from pipeline.tracking_pending import Waiting, waiting_runs
from pipeline.tracking_store import tracking_uri


def chosen(*, root: Path, run: str | None) -> list[Waiting]:
    """What waits, of all runs or of one.

    Args:
        root: The project's root folder.
        run: `latest`, an id, or the beginning of one that no other run shares; None for all.

    Raises:
        Mistake: There is no such run, or more than one.
    """
    waiting = waiting_runs(root)
    if run is None:
        return waiting
    if run == "latest":
        run = find_run(root=root, name=run).run_id
    found = [each for each in waiting if each.run_id.startswith(run)]
    if len(found) > 1:
        shown = ", ".join(each.run_id[:8] for each in found[:5])
        raise Mistake(f"run={run} is the beginning of {len(found)} runs: {shown}; give more of its letters")
    if not found and not any(sweep.sweep_id.startswith(run) for sweep in all_sweeps(root)):
        find_run(
            root=root, name=run
        )  # a run that is not there is another matter than one with nothing to send
    return found


def show_waiting(waiting: list[Waiting], *, server: str) -> None:
    """A line for each run: its id, how much waits, where it lies, and whether this server is the one.

    Args:
        waiting: The runs.
        server: Address of the server that is asked, without password.
    """
    table = Table(box=None, header_style="bold cyan", pad_edge=False)
    for heading in ("run", "entries", "folder", "for"):
        table.add_column(heading, overflow="fold")
    for each in waiting:
        theirs = each.identity.server if each.identity else "nobody knows: no tracking.json"
        address = "this server" if theirs == server else theirs
        row = (each.run_id[:8], f"{each.entries:,}", shown_path(each.folder), address)
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    console.print(table)


def _start(composed: Composed) -> int:
    server = public_address(tracking_uri(composed.root))
    waiting = chosen(root=composed.root, run=composed.settings["run"])
    if not waiting:
        console.print(f"nothing waits for MLflow at {server}", soft_wrap=True, markup=False)
        return 0
    if composed.settings["dry_run"]:
        show_waiting(waiting, server=server)
        return 0
    from pipeline.work.sync import run

    return run(composed=composed, **composed.settings)


def main() -> None:
    """Compose, validate, then send; the work is the network's and needs no process of its own."""
    sys.exit(run_verb(verb="sync", start=_start))


if __name__ == "__main__":
    main()
