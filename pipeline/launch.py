"""Starts the worker of a verb in a process of its own and stays between it and the terminal.

The process that knows Hydra never imports torch, and the process that trains knows no Hydra: Lightning
repeats a command line in every process of a distributed run, which under Hydra would compose a second time.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from pipeline import ranks
from pipeline.compose import Composed
from pipeline.requeue import REQUEUE

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, REQUEUE)


def launch(composed: Composed) -> int:
    """Run a verb's work in a worker process.

    Ctrl-C and a scheduler's signals are handed on to the worker, which keeps what it has and ends. Should
    this process be killed, the worker notices that the pipe to it is closed and ends as well.

    Where torchrun or srun has started this command several times, each starts the worker of its own rank.

    Args:
        composed: The valid configuration.

    Returns:
        The worker's exit code; 128 + n where signal n ended it.
    """
    rank = ranks.started_by(composed.config)
    if rank is None:
        ranks.check_alone(composed)
    else:
        composed = ranks.fitted(composed, rank)
    with tempfile.TemporaryDirectory(prefix="pipeline_") as folder:
        specification = Path(folder) / "specification.json"
        specification.write_text(json.dumps(asdict(composed), default=str), encoding="utf-8")
        command = [sys.executable, "-m", "pipeline.worker", str(specification)]
        code = _run_worker(command, environment=ranks.worker_environment(rank))
    return code if code >= 0 else 128 - code


def _run_worker(command: list[str], *, environment: dict[str, str]) -> int:
    alive_read, alive_write = os.pipe()
    environment = {**environment, "PIPELINE_PARENT_PIPE": str(alive_read)}
    # A group of its own: one Ctrl-C must reach the worker once, through us, not each of its data loaders.
    worker = subprocess.Popen(command, env=environment, pass_fds=[alive_read], start_new_session=True)
    os.close(alive_read)
    try:
        with _signals_forwarded(worker):
            return worker.wait()
    finally:
        os.close(alive_write)
        _end_group(worker.pid)
        if sys.stdout.isatty():
            # A worker that was ended in the middle of its progress bar has left the cursor hidden.
            sys.stdout.write("\x1b[?25h")


@contextmanager
def _signals_forwarded(worker: "subprocess.Popen[bytes]") -> Iterator[None]:
    def forward(number: int, _: FrameType | None) -> None:
        if worker.poll() is None:
            # A closed terminal is a wish to end like any other.
            worker.send_signal(signal.SIGTERM if number == signal.SIGHUP else number)

    kept = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _end_group(group: int) -> None:
    """End what the worker may have left behind: data loaders, ranks."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
