"""A run's folder: made, filled, locked against a second process, and told how it ended."""

import fcntl
import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import Mistake

_SECONDS_TO_WAIT = 10.0


def new_folder(*, outputs: Path, task: str, model: str, run_id: str) -> Path:
    """Make `outputs/<task>/<model>/<time>_<id>/`.

    Args:
        outputs: The folder of all runs.
        task: Name of the task.
        model: Name of the model's file in conf/model.
        run_id: The MLflow run id; its first eight letters end the folder's name.
    """
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{run_id[:8]}"
    folder = outputs / task / model / name
    folder.mkdir(parents=True)
    return folder


def write_config(folder: Path, config: dict[str, Any]) -> Path:
    """Write `config.yaml`, the resolved configuration."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def update_facts(folder: Path, **facts: Any) -> None:
    """Write what is known of the run into `run.json`; a crash leaves either the old file or the new one."""
    path = folder / "run.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"started": time.time()}
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({**before, **facts}, indent=1), encoding="utf-8")
    draft.replace(path)


def write_metrics(folder: Path, metrics: dict[str, float]) -> Path:
    """Write the flat `metrics.json`."""
    path = folder / "metrics.json"
    # NaN (the AUC of a single class, say) is no JSON.
    numbers = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    path.write_text(json.dumps(numbers, indent=1, sort_keys=True), encoding="utf-8")
    return path


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second process from writing into the same run.

    The system lets go of the lock when its process ends, however it ends.

    Raises:
        Mistake: Another process still trains this run.
    """
    with (folder / ".lock").open("w") as file:
        deadline = time.monotonic() + _SECONDS_TO_WAIT
        while not _try_lock(file.fileno()):
            if time.monotonic() > deadline:
                raise Mistake(f"{folder} is being trained by another process; wait for it or end it first")
            time.sleep(0.2)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        # Not flock: a data loader would inherit it and keep it after this process was killed.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


@contextmanager
def logged(folder: Path) -> Iterator[Path]:
    """Write log lines and warnings into `run.log`, and the traceback of an error that ends the run."""
    path = folder / "run.log"
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield path
    except Exception as error:
        # Only into the file: the worker says on the terminal what a person needs.
        trace = (type(error), error, error.__traceback__)
        handler.handle(
            logging.LogRecord("pipeline", logging.ERROR, "", 0, "the run ended early", None, trace)
        )
        raise
    finally:
        root.removeHandler(handler)
        handler.close()
