"""Several `make train` side by side: each a process of its own, with its share of the machine."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from pipeline.environment import usable_cores
from pipeline.places import GPUS
from pipeline.ranks import worker_environment
from pipeline.requeue import REQUEUE
from pipeline.runs import STARTED_AS, Run, all_runs

INTERVAL = 0.1
"""Seconds between two looks at those that train."""

STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + REQUEUE)
"""Exit codes of a training that a signal has ended, with everything it had kept."""

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, REQUEUE)
_LAST_LINES = 12
_PIPE = "PIPELINE_CREW_PIPE"


@dataclass(frozen=True, kw_only=True)
class Training:
    """One `make train` that is to be started.

    Attributes:
        number: What it is known by among the others.
        words: Its command line.
        mark: What its run is found by, in `started_as` of run.json.
        environment: What it is told beside the words.
    """

    number: int
    words: tuple[str, ...]
    mark: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One that has ended.

    Attributes:
        number: Of the training.
        code: Its exit code; 128 + n where signal n ended it.
        run: Its run; None where it ended before it had one.
        seconds: That it took.
        last_lines: What it said at last; empty where it had the terminal to itself.
    """

    number: int
    code: int
    run: Run | None
    seconds: float
    last_lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Started:
    process: "subprocess.Popen[bytes]"
    training: Training
    place: int
    since: float
    log: Path


class Crew:
    """Those that train at the moment, and the places they train in.

    Args:
        places: For each that may train at the same time, the GPUs it is given; see `pipeline.places`.
        root: The project's root folder.
        folder: Where each writes `<number>.log`, where several train at the same time; one alone has the
            terminal.
    """

    def __init__(self, *, places: Sequence[str], root: Path, folder: Path) -> None:
        self._places = list(places)
        self._root = root
        self._folder = folder
        self._running: dict[int, _Started] = {}
        # Should we be killed outright, the system closes the pipe, and those that train end by themselves.
        self._pipe, self._open_end = os.pipe()
        self.signal: int | None = None
        """The signal that has ended this crew; nobody is started after it."""

    @property
    def is_alone(self) -> bool:
        """Whether one trains after the other, each with the terminal to itself."""
        return len(self._places) == 1

    @property
    def at_a_time(self) -> str:
        """How many train at the same time, in words."""
        gpus = [f"GPU {place}" for place in self._places if place]
        return f"{len(self._places)}: {', '.join(gpus)}" if gpus else str(len(self._places))

    @property
    def running(self) -> list[int]:
        """Numbers of those that train."""
        return list(self._running)

    @property
    def has_room(self) -> bool:
        """Whether another one may be started."""
        return self.signal is None and len(self._running) < len(self._places)

    def start(self, training: Training) -> None:
        """Let one train in a place that is free."""
        place = min(set(range(len(self._places))) - {started.place for started in self._running.values()})
        log = self._folder / f"{training.number}.log"
        self._running[training.number] = _Started(
            process=self._process(training, place=place, log=log),
            training=training,
            place=place,
            since=time.monotonic(),
            log=log,
        )
        if self.signal is not None:  # it came while the process was being started
            self._running[training.number].process.send_signal(self.signal)

    def _process(self, training: Training, *, place: int, log: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "pipeline.train", *training.words]
        environment = {**self._environment(place), **training.environment, STARTED_AS: training.mark}
        if self.is_alone:
            return self._popen(command, environment=environment, said=None)
        with log.open("wb") as said:
            return self._popen(command, environment=environment, said=said.fileno())

    def _popen(
        self, command: list[str], *, environment: dict[str, str], said: int | None
    ) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            command,
            env=environment,
            # A group of its own: Ctrl-C reaches it once, through us.
            start_new_session=True,
            pass_fds=[self._pipe],
            stdout=said,
            stderr=said,
        )

    def _environment(self, place: int) -> dict[str, str]:
        gpu = {GPUS: self._places[place]} if self._places[place] else {}
        # Several with a thread for each core would fight for the cores: many times slower.
        threads = str(max(1, usable_cores() // len(self._places)))
        shared = {} if self.is_alone else {"OMP_NUM_THREADS": threads}
        own = {"PIPELINE_ROOT": str(self._root), _PIPE: str(self._pipe)}
        return {**shared, **worker_environment(None), **own, **gpu}

    def ended(self) -> list[Trained]:
        """Those that have ended since the last time; waits a moment for one."""
        time.sleep(INTERVAL)
        over = [number for number, started in self._running.items() if started.process.poll() is not None]
        return [self._taken(self._running.pop(number)) for number in over]

    def _taken(self, started: _Started) -> Trained:
        code = started.process.wait()
        return Trained(
            number=started.training.number,
            code=code if code >= 0 else 128 - code,
            run=run_marked(started.training.mark, root=self._root),
            seconds=time.monotonic() - started.since,
            last_lines=_last_lines(started.log) if not self.is_alone else (),
        )

    @contextmanager
    def signals_forwarded(self) -> Iterator[None]:
        """Hand signals on to everyone who trains, and start nobody else after one."""
        kept = {number: signal.signal(number, self._forward) for number in _FORWARDED}
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)
            self._send(signal.SIGTERM)  # only after an error of ours is there anybody left
            os.close(self._open_end)
            os.close(self._pipe)

    def _forward(self, number: int, _: FrameType | None) -> None:
        self.signal = self.signal or number
        self._send(number)

    def _send(self, number: int) -> None:
        for started in self._running.values():
            if started.process.poll() is None:
                started.process.send_signal(number)


def _last_lines(log: Path) -> tuple[str, ...]:
    return tuple(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])


def run_marked(mark: str, *, root: Path) -> Run | None:
    """The latest run that was started under a mark; None where there is none.

    Args:
        mark: `started_as` of its run.json.
        root: The project's root folder.
    """
    return next((run for run in reversed(all_runs(root=root)) if run.facts.get("started_as") == mark), None)


def end_with_crew() -> None:
    """In a training that a crew has started: end as if by SIGTERM when the crew is gone."""
    pipe = os.environ.pop(_PIPE, None)
    if pipe is not None:
        threading.Thread(target=_wait_for_end, args=(int(pipe),), daemon=True).start()


def _wait_for_end(pipe: int) -> None:
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
