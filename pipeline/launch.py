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

from pipeline.compose import Composed
from pipeline.errors import Mistake

# Left from an outer run (a sweep inside a distributed job, say) they would make a new one join the old.
_FOREIGN = ("LOCAL_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK")
_FOREIGN_PREFIXES = ("MASTER_", "PL_GLOBAL_SEED")


def launch(composed: Composed) -> int:
    """Run a verb's work in a worker process.

    Ctrl-C and a scheduler's SIGTERM are handed on to the worker, which keeps what it has and ends. Should
    this process be killed, the worker notices that the pipe to it is closed and ends as well.

    Args:
        composed: The valid configuration.

    Returns:
        The worker's exit code; 128 + n where signal n ended it.
    """
    _refuse_foreign_ranks()
    with tempfile.TemporaryDirectory(prefix="pipeline_") as folder:
        specification = Path(folder) / "specification.json"
        specification.write_text(json.dumps(asdict(composed), default=str), encoding="utf-8")
        code = _run_worker([sys.executable, "-m", "pipeline.worker", str(specification)])
    return code if code >= 0 else 128 - code


def _run_worker(command: list[str]) -> int:
    alive_read, alive_write = os.pipe()
    environment = {**_clean_environment(), "PIPELINE_PARENT_PIPE": str(alive_read)}
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


def _refuse_foreign_ranks() -> None:
    """Started several times over, each process would open a run of its own.

    Raises:
        Mistake: torchrun or srun started more than one process.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1":
        raise Mistake("torchrun starts several processes; start one, and trainer.devices=N starts the ranks")
    if "SLURM_STEP_ID" in os.environ and os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1":
        raise Mistake(
            "srun starts several tasks; start one (srun -n 1), and trainer.devices=N starts the ranks"
        )


def _clean_environment() -> dict[str, str]:
    return {
        key: value
        for key, value in os.environ.items()
        if key not in _FOREIGN and not key.startswith(_FOREIGN_PREFIXES) and key != "HYDRA_FULL_ERROR"
    }


@contextmanager
def _signals_forwarded(worker: "subprocess.Popen[bytes]") -> Iterator[None]:
    def forward(number: int, _: FrameType | None) -> None:
        if worker.poll() is None:
            # A closed terminal is a wish to end like any other.
            worker.send_signal(signal.SIGTERM if number == signal.SIGHUP else number)

    kept = {
        number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
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
