"""Sweeps whose trainings only pretend: a stand-in for `python -m pipeline.train`."""

import json
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline import compose, sweep, train
from pipeline.sweeps import remains
from pipeline.sweeps.folder import Sweep, all_sweeps

# Writes down how it was called, leaves a run behind (or goes on with one), and ends as told.json says.
FAKE = """#!{python}
import json, os, pathlib, signal, sys, time
tags, mark = json.loads(os.environ["PIPELINE_TAGS"]), os.environ["PIPELINE_STARTED_AS"]
job, root = tags["job"], pathlib.Path(os.environ["PIPELINE_ROOT"])
told = json.loads((root / "told.json").read_text()).get(job, {{}})
calls = root / "calls"
calls.mkdir(exist_ok=True)
number = len(list(calls.glob(job + "_*.json")))
called = {{"words": sys.argv[1:], "environment": dict(os.environ), "group": os.getpgrp()}}
called["began"] = time.time()
(calls / f"{{job}}_{{number}}.json").write_text(json.dumps(called))
print("job", job, "speaks", flush=True)
going = [word.partition("=")[2] for word in sys.argv if word.startswith("resume=")]
folder = root / "outputs" / "classification" / "lenet5" / (going[0] if going else f"run_{{job}}_{{number}}")
facts = {{"run_id": folder.name, "started": time.time(), "started_as": mark, "status": "RUNNING"}}
def write():
    (folder / "draft").write_text(json.dumps(facts))
    (folder / "draft").rename(folder / "run.json")  # whole from the beginning, as a run's is
def stop(number, _):
    facts["status"] = "KILLED"
    write()
    sys.exit(128 + number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, stop)
if told.get("code") != 2:
    folder.mkdir(parents=True, exist_ok=True)
    write()
end = time.time() + told.get("sleep", 0)
while time.time() < end and not going:
    time.sleep(0.02)
if told.get("code") and not going:
    print("error:", told.get("said", "it broke"), file=sys.stderr)
    facts["status"] = "FAILED"
else:
    measures = told.get("measures", {{"val/top1": 0.5 + int(job) / 100}})
    (folder / "metrics.json").write_text(json.dumps(measures))
    facts |= {{"status": "FINISHED", **told.get("facts", {{}})}}
if told.get("code") != 2:
    write()
sys.exit(0 if going else told.get("code", 0))
"""

PLAIN = ("model=lenet5", "logger=none")


@dataclass(frozen=True)
class Stage:
    """A project's root in which trainings only pretend.

    Attributes:
        root: The folder.
        monkeypatch: Pytest's.
    """

    root: Path
    monkeypatch: pytest.MonkeyPatch

    def tell(self, jobs: dict[int, dict[str, Any]]) -> None:
        """Say how jobs end: `code`, `sleep`, `measures`, `facts`, `said`."""
        (self.root / "told.json").write_text(json.dumps(jobs))

    def run(self, *words: str) -> int:
        """`make sweep` with these words; the exit code."""
        self.monkeypatch.setattr(sys, "argv", ["pipeline.sweep", *sweep.words_of(list(words))])
        return compose.run_verb(verb="train", start=train._start)

    def calls(self) -> dict[str, dict[str, Any]]:
        """How each job was called, by its number and the number of its attempt: `3_0`."""
        return {path.stem: json.loads(path.read_text()) for path in sorted(self.root.glob("calls/*.json"))}

    @property
    def sweep(self) -> Sweep:
        """The only one."""
        (found,) = all_sweeps(self.root)
        return found


def staged(root: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Let every training that is started from here only pretend."""
    fake = root / "python"
    fake.write_text(FAKE.format(python=sys.executable))
    fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.setenv("PIPELINE_ROOT", str(root))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # so that it is taken back
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_RESTART_COUNT", "OPTUNA_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    (root / "told.json").write_text("{}")
    # Figures take seconds, and have tests of their own.
    nothing = remains.Remains(axes=[], importance={}, files={})
    monkeypatch.setattr(remains, "write_remains", lambda sweep, results, *, root: nothing)
    return Stage(root, monkeypatch)
