"""Real sweeps of tiny trainings, through our launcher and through those of others."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.runs import all_runs
from pipeline.sweeps.folder import Sweep, all_sweeps
from tests.commands import Answer, environment, eventually, run_verb

SHORT = (
    "model=lenet5",
    "trainer.max_epochs=1",
    "+trainer.limit_train_batches=2",
    "+trainer.limit_val_batches=1",
    "+trainer.limit_test_batches=1",
    "callbacks.figures=null",
)
RATES = "optimizer.lr=0.01,0.001"


def the_sweep(root: Path) -> Sweep:
    (found,) = all_sweeps(root)
    return found


def assert_is_whole(answer: Answer, root: Path) -> None:
    """Two runs with their own rates, children of one run in MLflow, and no other folder than the sweep's."""
    from mlflow.tracking import MlflowClient

    assert answer.code == 0, answer.out + answer.err
    sweep = the_sweep(root)
    assert [outcome.status for outcome in sweep.outcomes] == ["FINISHED", "FINISHED"]
    assert all(outcome.seconds > 1 for outcome in sweep.outcomes)
    configs = [yaml.safe_load((root / str(one.folder) / "config.yaml").read_text()) for one in sweep.outcomes]
    assert [config["optimizer"]["lr"] for config in configs] == [0.01, 0.001]
    assert [path.name for path in (root / "outputs" / "sweeps").iterdir()] == [sweep.folder.name]
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    for outcome in sweep.outcomes:
        run = client.get_run(str(outcome.run_id))
        assert run.data.tags["mlflow.parentRunId"] == sweep.sweep_id
        assert run.data.tags["job"] == str(outcome.number) and run.info.status == "FINISHED"
        assert run.data.metrics["val/top1"] == outcome.measures["val/top1"]
    assert client.get_run(sweep.sweep_id).info.status == "FINISHED"


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        ("hydra.launcher.jobs=2",),
        ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
        ("hydra/launcher=submitit_local",),
        ("hydra/launcher=basic",),
    ],
    ids=lambda words: words[0].rpartition("=")[2] if "=" in words[0] else words[0],
)
def test_every_launcher_trains_the_same(launcher: tuple[str, ...], tmp_path: Path) -> None:
    assert_is_whole(run_verb("sweep", *SHORT, RATES, *launcher, root=tmp_path), tmp_path)


@pytest.mark.slow
def test_one_that_fails_in_another_launcher_leaves_the_others_whole(tmp_path: Path) -> None:
    """One cannot be composed by itself, one fails in its data."""
    nowhere = "data.data_dir=nowhere"
    words = ("data=digits,image_folder", "hydra.sweeper.method=random", "hydra/launcher=joblib", nowhere)
    answer = run_verb("sweep", *SHORT[1:], "model=lenet5", *words[:3], root=tmp_path)
    assert answer.code == 1, answer.out + answer.err
    found = {outcome.overrides: outcome for outcome in the_sweep(tmp_path).outcomes}
    assert found["data=digits",].status == "FINISHED"
    failed = found["data=image_folder",]
    assert failed.status == "FAILED" and failed.code == 2 and failed.message


@pytest.mark.slow
def test_a_sweep_of_two_processes_each_killed_outright_goes_on(tmp_path: Path) -> None:
    """`kill -9` reaches only the process of the sweep; what trains ends by itself, and is gone on with."""
    words = (*SHORT, "trainer.max_epochs=12", "trainer=ddp_cpu", "trainer.devices=2", RATES)
    command = [sys.executable, "-m", "pipeline.sweep", *words]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command, env=environment(tmp_path), stdout=said, stderr=said)
    try:
        assert eventually(lambda: bool(list(tmp_path.glob("outputs/*/*/*/checkpoints/last.ckpt"))), 400.0)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert the_sweep(tmp_path).facts["status"] == "RUNNING" and the_sweep(tmp_path).outcomes == []
    (first,) = all_runs(root=tmp_path)
    path = first.folder / "run.json"
    assert eventually(lambda: json.loads(path.read_text())["status"] == "KILLED", 120.0), "it trains on"
    answer = run_verb("sweep", "resume=latest", root=tmp_path)
    assert answer.code == 0, answer.out + answer.err
    sweep = the_sweep(tmp_path)
    assert [outcome.status for outcome in sweep.outcomes] == ["FINISHED", "FINISHED"]
    assert sweep.outcomes[0].run_id == first.run_id and len(all_runs(root=tmp_path)) == 2
    history = (first.folder / "history.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in history if "val/top1" in line]
    assert sorted(set(epochs)) == list(range(12)), "no epoch is missing"
    assert not list(Path("/proc").glob(f"{process.pid}/cmdline")) or os.getpid() == process.pid
