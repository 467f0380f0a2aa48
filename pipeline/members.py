"""Trains the members of an ensemble: ordinary runs of make train, each with a seed of its own."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pipeline.compose import Composed
from pipeline.console import console
from pipeline.crew import STOPPED, Crew, Trained, Training
from pipeline.errors import EXIT_MISTAKE
from pipeline.panels import shown_time
from pipeline.places import places
from pipeline.runs import Run


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A member that was trained, or was meant to be.

    Attributes:
        name: What it is called in messages.
        code: Exit code of its make train.
        run: Its run; None where it ended before it had one.
    """

    name: str
    code: int
    run: Run | None

    @property
    def how(self) -> str:
        """How it ended, in words, and what can be done."""
        known = f" (run {self.run.run_id[:8]})" if self.run is not None else ""
        if self.code not in STOPPED:
            return f"failed with exit code {self.code}{known}"
        goes_on = f"; make train resume={self.run.run_id[:8]} goes on with it" if self.run is not None else ""
        return f"was interrupted{known}{goes_on}"


def train_members(composed: Composed, *, words: Sequence[str]) -> list[Ended]:
    """Train so many members as `members` says, with the seeds `seed`, `seed` + 1, ...

    One that fails does not stop the others; a mistake, which all would make, and a signal do.

    Args:
        composed: The configuration of make ensemble.
        words: What was typed for make train.

    Returns:
        Those that were started, in the order of their seeds.
    """
    settings = composed.settings
    seeds = [settings["seed"] + number for number in range(settings["members"])]
    names = {seed: f"member {number} of {len(seeds)} (seed={seed})" for number, seed in enumerate(seeds, 1)}
    found = places(trainer=composed.config["trainer"], jobs=settings["jobs"])[: len(seeds)]
    with tempfile.TemporaryDirectory(prefix="pipeline_") as folder:
        crew = Crew(places=found, root=composed.root, folder=Path(folder))
        with crew.signals_forwarded():
            done = _all_trained(crew, words=tuple(words), names=names)
    return [done[seed] for seed in seeds if seed in done]


def _all_trained(crew: Crew, *, words: tuple[str, ...], names: dict[int, str]) -> dict[int, Ended]:
    done: dict[int, Ended] = {}
    waiting = iter(names)
    while _fill(crew, waiting, words=words, names=names) or crew.running:
        for trained in crew.ended():
            done[trained.number] = _told(trained, name=names[trained.number])
            if trained.code in (EXIT_MISTAKE, *STOPPED):
                waiting = iter(())
    return done


def _fill(crew: Crew, waiting: Iterator[int], *, words: tuple[str, ...], names: dict[int, str]) -> bool:
    """Start members while there is room; whether one was started."""
    before = len(crew.running)
    while crew.has_room:
        seed = next(waiting, None)
        if seed is None:
            break
        console.print(f"{names[seed]} trains", style="bold")
        crew.start(Training(number=seed, words=(*words, f"seed={seed}"), mark=uuid4().hex))
    return len(crew.running) > before


def _told(trained: Trained, *, name: str) -> Ended:
    """What became of a member, for the person and for us."""
    ended = Ended(name=name, code=trained.code, run=trained.run)
    known = f": run {ended.run.run_id[:8]}" if ended.run is not None else ""
    how = f"has finished after {shown_time(trained.seconds)}{known}" if ended.code == 0 else ended.how
    console.print(f"{ended.name} {how}", style="green" if ended.code == 0 else "bold yellow", soft_wrap=True)
    for line in trained.last_lines if ended.code else ():
        console.print(f"  {line}", markup=False, soft_wrap=True)
    return ended
