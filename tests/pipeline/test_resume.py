"""An interrupted run goes on to the same weights, bit for bit, in the same folder and MLflow run."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from tests.commands import environment, run_verb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Dropout, mixing and heavy augmentation: everything random takes part.
WORDS = (
    "model=lenet5",
    "transforms=heavy",
    "task.mixing=both",
    "data.batch_size=16",
    "trainer.max_epochs=4",
    "trainer.accelerator=cpu",
)


def the_run(root: Path) -> Path:
    (folder,) = (root / "outputs" / "classification" / "lenet5").iterdir()
    return folder


def weights(root: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(the_run(root) / "checkpoints" / "last.ckpt", weights_only=True)
    state: dict[str, torch.Tensor] = checkpoint["state_dict"]
    return state


def metrics(root: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((the_run(root) / "metrics.json").read_text())
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("uninterrupted")
    answer = run_verb("train", *WORDS, root=root)
    assert answer.code == 0, answer.err
    return root


def interrupt(root: Path, *words: str, how: Callable[[subprocess.Popen[bytes]], None]) -> int:
    """Start a run, wait until it is inside its second epoch, and end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.train", *WORDS, *words], env=environment(root), cwd=root
    )
    wait_for(lambda: len(history(root)) >= 1, process)
    time.sleep(0.25)
    how(process)
    return process.wait(timeout=60)


def history(root: Path) -> list[str]:
    found = list(root.glob("outputs/*/*/*/history.jsonl"))
    return found[0].read_text().splitlines() if found else []


def wait_for(is_true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not is_true():
        assert process.poll() is None, "the run ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kill_the_worker(process: subprocess.Popen[bytes]) -> None:
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()


def kill_the_command(process: subprocess.Popen[bytes]) -> None:
    process.kill()


def press_ctrl_c(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("how", "words", "status", "code"),
    [
        (kill_the_worker, (), "RUNNING", 128 + 9),
        (kill_the_worker, ("callbacks.keep_last.every_n_steps=7", "data.num_workers=1"), "RUNNING", 128 + 9),
        (press_ctrl_c, (), "KILLED", 128 + 2),
        (kill_the_command, (), "KILLED", -9),
    ],
    ids=["kill -9", "kill -9 with checkpoints inside the epoch", "Ctrl-C", "kill -9 of the command"],
)
def test_same_weights_as_without_the_interruption(
    how: Callable[[Any], None],
    words: tuple[str, ...],
    status: str,
    code: int,
    uninterrupted: Path,
    tmp_path: Path,
) -> None:
    assert interrupt(tmp_path, *words, how=how) == code
    assert not (the_run(tmp_path) / "metrics.json").exists(), "the run was not interrupted"
    wait_for_status(tmp_path, status)
    answer = run_verb("train", "resume=latest", root=tmp_path)
    assert answer.code == 0, answer.err
    expected, found = weights(uninterrupted), weights(tmp_path)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    assert {key: value for key, value in metrics(uninterrupted).items() if not key.startswith("train/")} == {
        key: value for key, value in metrics(tmp_path).items() if not key.startswith("train/")
    }


def wait_for_status(root: Path, status: str) -> None:
    deadline = time.monotonic() + 30
    while json.loads((the_run(root) / "run.json").read_text())["status"] != status:
        assert time.monotonic() < deadline, f"never {status}"
        time.sleep(0.1)


def test_ctrl_c_keeps_what_the_epoch_has_learned(tmp_path: Path) -> None:
    interrupt(tmp_path, how=press_ctrl_c)
    checkpoint = torch.load(the_run(tmp_path) / "checkpoints" / "last.ckpt", weights_only=True)
    loop = checkpoint["loops"]["fit_loop"]
    assert loop["epoch_progress"]["current"]["started"] > loop["epoch_progress"]["current"]["processed"]
    assert loop["epoch_loop.batch_progress"]["current"]["processed"] > 0


def test_one_mlflow_run_and_whole_curves(uninterrupted: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    interrupt(tmp_path, how=press_ctrl_c)
    assert run_verb("train", "resume=latest", root=tmp_path).code == 0
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = [found for found in client.search_experiments() if found.name == "classification"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "val/top1")]
    assert len(steps) == len(set(steps))
    assert [json.loads(row)["epoch"] for row in history(tmp_path)] == [0, 1, 2, 3]


def test_another_model_cannot_be_resumed_into(uninterrupted: Path) -> None:
    answer = run_verb("train", "resume=latest", "model=resnet18", root=uninterrupted)
    assert answer.code == 2
    assert "goes on with its own model" in answer.err
    answer = run_verb("train", "resume=latest", "optimizer.lr=1", root=uninterrupted)
    assert answer.code == 2
    assert "may change" in answer.err


def test_more_epochs_can(tmp_path: Path) -> None:
    words = [*WORDS[:-2], "trainer.max_epochs=1", "trainer.accelerator=cpu", "scheduler=constant"]
    assert run_verb("train", *words, root=tmp_path).code == 0
    answer = run_verb("train", "resume=latest", "trainer.max_epochs=2", root=tmp_path)
    assert answer.code == 0, answer.err
    assert len(history(tmp_path)) == 2


def test_two_processes_cannot_train_one_run(uninterrupted: Path) -> None:
    import fcntl

    with (the_run(uninterrupted) / ".lock").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        answer = run_verb("train", "resume=latest", "trainer.max_epochs=5", root=uninterrupted)
    assert answer.code == 2
    assert "is being trained by another process" in answer.err
