"""Runs the verbs as a person does: a process of its own, its words on a terminal, its exit code."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 20.0
# Seconds for what needs no torch. It takes less than one; a test machine may be busy with other tests.
AT_ONCE = 6.0


@dataclass(frozen=True)
class Answer:
    """What a command said.

    Attributes:
        code: Exit code.
        out: Standard output.
        err: Standard error.
        seconds: Wall-clock time.
    """

    code: int
    out: str
    err: str
    seconds: float


def environment(root: Path) -> dict[str, str]:
    """The environment of a command whose outputs go below `root`."""
    hidden = ("MLFLOW_TRACKING_URI", "HYDRA_FULL_ERROR")
    kept = {key: value for key, value in os.environ.items() if key not in hidden}
    return {**kept, "PIPELINE_ROOT": str(root)}


def run_verb(verb: str, *words: str, root: Path, cwd: Path | None = None) -> Answer:
    """Run `python -m pipeline.<verb> <words>` to its end.

    Args:
        verb: Name of the command.
        *words: Its command line.
        root: Where outputs/ and mlflow.db go.
        cwd: Folder in which it is typed; `root` where None.
    """
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", f"pipeline.{verb}", *words],
        env=environment(root),
        cwd=cwd or root,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


def eventually(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
