"""Trains the members of an ensemble: ordinary runs of make train, each with a seed of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

from pipeline.compose import Composed
from pipeline.console import console
from pipeline.environment import usable_cores
from pipeline.errors import EXIT_MISTAKE
from pipeline.panels import shown_time
from pipeline.requeue import REQUEUE
from pipeline.runs import STARTED_AS, Run, all_runs

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, REQUEUE)
_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + REQUEUE)
_INTERVAL = 0.1
_LAST_LINES = 12
_GPUS = "CUDA_VISIBLE_DEVICES"


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
        if self.code not in _STOPPED:
            return f"failed with exit code {self.code}{known}"
        goes_on = f"; make train resume={self.run.run_id[:8]} goes on with it" if self.run is not None else ""
        return f"was interrupted{known}{goes_on}"


@dataclass(frozen=True, kw_only=True)
class _Trainee:
    """A member that trains at the moment.

    Attributes:
        process: Its make train.
        mark: What its run is found by.
        place: Number of its place among those that train at the same time.
        since: When it was started.
        log: What it says, where several do so at the same time.
    """

    process: "subprocess.Popen[bytes]"
    mark: str
    place: int
    since: float
    log: Path


@dataclass(kw_only=True)
class _Crew:
    """The members that train at the moment.

    Attributes:
        composed: The configuration of make ensemble.
        words: What was typed for make train.
        places: For each that may train at the same time, the GPUs it is given, as CUDA_VISIBLE_DEVICES names
            them; an empty name for whatever there is.
        folder: Where each writes what it says, where several do so at the same time.
        running: By their seeds.
        is_over: Whether no more are started.
    """

    composed: Composed
    words: Sequence[str]
    places: Sequence[str]
    folder: Path
    running: dict[int, _Trainee] = field(default_factory=dict)
    is_over: bool = False

    def forward(self, number: int, _: FrameType | None) -> None:
        """Hand a signal on to everyone, and start nobody else."""
        self.is_over = True
        for trainee in self.running.values():
            if trainee.process.poll() is None:
                trainee.process.send_signal(number)

    def start(self, seed: int) -> None:
        """Let a member train in a place that is free."""
        taken = {trainee.place for trainee in self.running.values()}
        place = min(set(range(len(self.places))) - taken)
        mark, log = uuid4().hex, self.folder / f"{seed}.log"
        with log.open("wb") as said:
            alone = len(self.places) == 1
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.train", *self.words, f"seed={seed}"],
                env={**self._environment(place), STARTED_AS: mark},
                # A group of its own: Ctrl-C reaches it once, through us.
                start_new_session=True,
                stdout=None if alone else said,
                stderr=None if alone else subprocess.STDOUT,
            )
        self.running[seed] = _Trainee(
            process=process, mark=mark, place=place, since=time.monotonic(), log=log
        )

    def _environment(self, place: int) -> dict[str, str]:
        gpu = {_GPUS: self.places[place]} if self.places[place] else {}
        # Several with a thread for each core would fight for the cores: many times slower.
        threads = str(max(1, usable_cores() // len(self.places)))
        shared = {} if len(self.places) == 1 else {"OMP_NUM_THREADS": threads}
        return {**shared, **os.environ, "PIPELINE_ROOT": str(self.composed.root), **gpu}

    def ended(self) -> list[int]:
        """Seeds of those that have ended since the last time."""
        return [seed for seed, trainee in self.running.items() if trainee.process.poll() is not None]

    def take(self, seed: int, *, name: str) -> Ended:
        """What became of a member that has ended."""
        trainee = self.running.pop(seed)
        code = trainee.process.wait()
        runs = [
            run for run in all_runs(root=self.composed.root) if run.facts.get("started_as") == trainee.mark
        ]
        ended = Ended(name=name, code=code if code >= 0 else 128 - code, run=runs[-1] if runs else None)
        self.is_over = self.is_over or ended.code in (EXIT_MISTAKE, *_STOPPED)
        _tell(ended, trainee)
        return ended


def _tell(ended: Ended, trainee: _Trainee) -> None:
    taken = shown_time(time.monotonic() - trainee.since)
    known = f": run {ended.run.run_id[:8]}" if ended.run is not None else ""
    how = f"has finished after {taken}{known}" if ended.code == 0 else ended.how
    console.print(f"{ended.name} {how}", style="green" if ended.code == 0 else "bold yellow", soft_wrap=True)
    lines = trainee.log.read_text(encoding="utf-8", errors="replace").splitlines() if ended.code else []
    for line in lines[-_LAST_LINES:]:
        console.print(f"  {line}", markup=False, soft_wrap=True)


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
    done: dict[int, Ended] = {}
    with tempfile.TemporaryDirectory(prefix="pipeline_") as folder:
        places = _places(composed)[: len(seeds)]
        crew = _Crew(composed=composed, words=words, places=places, folder=Path(folder))
        with _signals_forwarded(crew):
            waiting = iter(seeds)
            while _fill(crew, waiting, names=names) or crew.running:
                time.sleep(_INTERVAL)
                done |= {seed: crew.take(seed, name=names[seed]) for seed in crew.ended()}
    return [done[seed] for seed in seeds if seed in done]


def _fill(crew: _Crew, waiting: Iterator[int], *, names: dict[int, str]) -> bool:
    """Start members while there is room; whether one was started."""
    before = len(crew.running)
    while not crew.is_over and len(crew.running) < len(crew.places):
        seed = next(waiting, None)
        if seed is None:
            break
        console.print(f"{names[seed]} trains", style="bold")
        crew.start(seed)
    return len(crew.running) > before


def _places(composed: Composed) -> list[str]:
    """GPUs for each member that trains at the same time; an empty name is whatever there is."""
    jobs, trainer = composed.settings["jobs"], composed.config["trainer"]
    gpus = visible_gpus() if trainer.get("accelerator") in ("auto", "gpu", "cuda") else []
    each = _devices_of_one(trainer.get("devices", 1))
    count = jobs or (max(1, len(gpus)) if each == 1 else 1)
    groups = [gpus[first : first + each] for first in range(0, len(gpus) - each + 1, each)] if each else []
    if count == 1 or not groups:
        return [""] * count
    return [",".join(groups[number % len(groups)]) for number in range(count)]


def _devices_of_one(devices: Any) -> int:
    """How many GPUs a member trains on; 0 where it names them itself, or takes all."""
    if devices in (None, "auto"):
        return 1
    typed = str(devices)
    return int(typed) if typed.isdecimal() else 0


def visible_gpus() -> list[str]:
    """Names of the GPUs that a process would see, as CUDA_VISIBLE_DEVICES lists them; found without torch."""
    if _GPUS in os.environ:
        return [name.strip() for name in os.environ[_GPUS].split(",") if name.strip() not in ("", "-1")]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        found = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    count = sum(line.startswith("GPU ") for line in found.stdout.splitlines()) if found.returncode == 0 else 0
    return [str(number) for number in range(count)]


@contextmanager
def _signals_forwarded(crew: _Crew) -> Iterator[None]:
    kept = {number: signal.signal(number, crew.forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
        crew.forward(signal.SIGTERM, None)
