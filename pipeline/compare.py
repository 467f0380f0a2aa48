"""`make compare`: runs side by side, only where they differ, and whether the best is better or luckier."""

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.comparing.choosing import Chosen, choose
from pipeline.comparing.contest import Contest, contest
from pipeline.comparing.folders import new_folder
from pipeline.comparing.leaderboard import Leaderboard, leaderboard
from pipeline.comparing.terminal import show
from pipeline.compose import Composed, run_verb
from pipeline.console import console
from pipeline.launch import launch

if TYPE_CHECKING:
    from pipeline.comparing.verdict import Verdict


def _start(composed: Composed) -> int:
    settings = composed.settings
    chosen = choose(root=composed.root, settings=settings)
    board = leaderboard(chosen, sort=settings["sort"], metrics=settings["metrics"])
    typed = settings["metrics"] is not None
    pair = contest(board, named=chosen.named, paired=settings["paired"], typed=typed)
    folder = new_folder(root=composed.root, output=settings["output"])
    show(board, top=settings["top"], console=console)
    if isinstance(pair, str):
        console.print(f"not tested on the same images: {pair}", style="yellow", markup=False)
    verdict = None
    if isinstance(pair, Contest):
        code, verdict = _measured(composed, pair, folder=folder)
        if code:
            with suppress(OSError):
                folder.rmdir()  # nothing is in it, unless it was there before
            return code
    _finish(composed, chosen, board, verdict=verdict, folder=folder)
    return 0


def _measured(composed: Composed, pair: Contest, *, folder: Path) -> "tuple[int, Verdict | None]":
    """The exit code of the worker that measures both, and what it found."""
    runs = [pair.first.run.run_id, pair.second.run.run_id]
    exact = {"runs": runs, "metrics": list(pair.names), "output": str(folder)}
    code = launch(replace(composed, settings={**composed.settings, **exact}))
    if code:
        return code, None
    from pipeline.comparing.verdict import VERDICT_FILE, load_verdict

    path = folder / VERDICT_FILE
    found = load_verdict(path)
    path.unlink()  # compare.json holds it
    return code, found


def _finish(
    composed: Composed, chosen: Chosen, board: Leaderboard, *, verdict: "Verdict | None", folder: Path
) -> None:
    """Write the page and the tables, hand them to MLflow, and say where they are."""
    # Drawing and MLflow take seconds to import, after the table has been printed.
    from pipeline.comparing.files import write
    from pipeline.comparing.report import report
    from pipeline.comparing.telling import last_panel, next_commands
    from pipeline.comparing.tracked import track

    commands = next_commands(board, asked=composed.overrides, was_paired=verdict is not None)
    with console.status("drawing the page"):
        found = report(board, verdict=verdict, commands=commands, top=composed.settings["top"])
        paths = write(found, folder)
    runs = [listed for group in board.groups for listed in group.runs]
    kept = track(chosen, root=composed.root, folder=folder, files=paths, runs=runs)
    last_panel(found, paths=paths, kept=kept, console=console)


def main() -> None:
    """Compose, validate, list, and measure in a process of its own what is tested."""
    sys.exit(run_verb(verb="compare", start=_start))


if __name__ == "__main__":
    main()
