"""A sweep of distributed runs: one configuration on all ranks, a crash harms nobody, a kill loses nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from pipeline.runs import STARTED_AS
from pipeline.sweeps.folder import Sweep, all_sweeps
from tests.commands import environment, eventually

TRIALS, CRASHING = 6, 1
WORDS = [
    "optimizer.lr=tag(log, interval(1e-4, 1e-1))",
    "hydra.sweeper.method=tpe",
    f"hydra.sweeper.n_trials={TRIALS}",
    "model=lenet5",
    "trainer=ddp_cpu",
    "trainer.devices=2",
    "trainer.max_epochs=1",
    "+trainer.limit_train_batches=2",
    "+trainer.limit_val_batches=1",
    "+trainer.limit_test_batches=1",
    "callbacks.figures=null",
    "baselines=null",
]

# Every rank of every job writes down with which rate it makes a step; one rank of one job crashes there.
HOOK = f"""
import os, sys
from importlib.abc import MetaPathFinder

def record(optimizer, *_):
    from torch import distributed
    rates = {{group.get("initial_lr", group["lr"]) for group in optimizer.param_groups}}
    job, rank = os.environ["{STARTED_AS}"].rpartition("/")[2], distributed.get_rank()
    with open(os.path.join(os.environ["RECORDS"], f"{{job}}_{{rank}}"), "a") as file:
        file.writelines(f"{{rate!r}}\\n" for rate in rates)
    if job == "{CRASHING}" and rank == 1:
        raise RuntimeError("on purpose")

class Trainings(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "pipeline.work.train":
            sys.meta_path.remove(self)
            from torch.optim.optimizer import register_optimizer_step_pre_hook
            register_optimizer_step_pre_hook(record)
        return None

sys.meta_path.insert(0, Trainings())
"""


@contextmanager
def started(verb: str, *words: str, root: Path) -> Iterator["subprocess.Popen[str]"]:
    """A command that is going on, with all that it says in a file."""
    surroundings = {**environment(root), "PYTHONPATH": str(root / "hook"), "RECORDS": str(root / "records")}
    with (root / "said.txt").open("a") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", f"pipeline.{verb}", *words],
            env=surroundings,
            cwd=root,
            stdout=said,
            stderr=said,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def the_sweep(root: Path) -> Sweep | None:
    found = all_sweeps(root)
    assert len(found) < 2
    return found[0] if found else None


def ended(root: Path) -> int:
    sweep = the_sweep(root)
    return 0 if sweep is None else sum(outcome.status != "KILLED" for outcome in sweep.outcomes)


def comes_to(count: int, process: "subprocess.Popen[str]", *, root: Path) -> bool:
    """Whether so many jobs end, and the next one makes a step, while the sweep goes on."""

    def is_there() -> bool:
        return ended(root) >= count and (root / "records" / f"{ended(root)}_0").exists()

    return eventually(lambda: is_there() or process.poll() is not None, patience=900) and is_there()


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_sweep_of_two_processes_each_that_is_killed_twice_comes_to_six_trials(tmp_path: Path) -> None:
    for name in ("hook", "records"):
        (tmp_path / name).mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    with started("train", "--multirun", *WORDS, root=tmp_path) as sweep:
        assert comes_to(2, sweep, root=tmp_path), said(tmp_path)
        os.kill(sweep.pid, signal.SIGKILL)
    with started("sweep", "resume=latest", root=tmp_path) as sweep:
        assert comes_to(4, sweep, root=tmp_path), said(tmp_path)
        os.kill(sweep.pid, signal.SIGINT)
        assert sweep.wait(timeout=120) == 130, said(tmp_path)
    assert "goes on" in said(tmp_path)
    with started("sweep", "resume=latest", root=tmp_path) as sweep:
        assert sweep.wait(timeout=900) == 1, said(tmp_path)
    _check_jobs(tmp_path)
    _check_ranks(tmp_path)
    _check_study(tmp_path)
    _check_runs(tmp_path)


def said(root: Path) -> str:
    return (root / "said.txt").read_text()[-6000:]


def _check_jobs(root: Path) -> None:
    """Six trials, of which one has crashed; the others are whole."""
    sweep = the_sweep(root)
    assert sweep is not None
    assert [outcome.number for outcome in sweep.outcomes] == list(range(TRIALS))
    statuses = ["FAILED" if number == CRASHING else "FINISHED" for number in range(TRIALS)]
    assert [outcome.status for outcome in sweep.outcomes] == statuses
    whole = [outcome for outcome in sweep.outcomes if outcome.number != CRASHING]
    assert all({"val/top1", "test/top1"} <= {*outcome.measures} for outcome in whole)


def _check_ranks(root: Path) -> None:
    """Both ranks of a trial have trained with its own rate, also after a kill; no two trials with one."""
    sweep = the_sweep(root)
    assert sweep is not None
    rates = []
    for outcome in sweep.outcomes:
        (typed,) = {
            float(word.partition("=")[2]) for word in outcome.overrides if word.startswith("optimizer.lr=")
        }
        files = [root / "records" / f"{outcome.number}_{rank}" for rank in (0, 1)]
        assert [{float(line) for line in file.read_text().split()} for file in files] == [{typed}, {typed}]
        rates.append(typed)
    assert len(set(rates)) == TRIALS


def _check_study(root: Path) -> None:
    """Optuna knows what became of each."""
    sweep = the_sweep(root)
    assert sweep is not None
    study = optuna.load_study(study_name=sweep.sweep_id, storage=f"sqlite:///{root}/optuna.db")
    expected: list[tuple[TrialState, Any]] = [
        (TrialState.FAIL, None)
        if outcome.number == CRASHING
        else (TrialState.COMPLETE, outcome.measures["val/top1"])
        for outcome in sweep.outcomes
    ]
    assert [(trial.state, trial.value) for trial in study.trials] == expected


def _check_runs(root: Path) -> None:
    """In MLflow every job stands below the sweep, once, also those that were killed and went on."""
    sweep = the_sweep(root)
    assert sweep is not None
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiment = client.get_run(sweep.sweep_id).info.experiment_id
    children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{sweep.sweep_id}'")
    by_job = {run.data.tags["job"]: run for run in children if run.info.status != "RUNNING"}
    assert {*by_job} == {str(number) for number in range(TRIALS)}
    for outcome in sweep.outcomes:
        if outcome.number != CRASHING:
            run = by_job[str(outcome.number)]
            assert run.info.status == "FINISHED" and run.info.run_id == outcome.run_id
            folder = root / str(outcome.folder)
            assert json.loads((folder / "run.json").read_text())["status"] == "FINISHED"
