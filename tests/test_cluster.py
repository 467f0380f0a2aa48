"""Processes that torchrun and SLURM start are one run; SLURM itself is not here, only what it tells them."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.commands import environment, eventually
from tests.test_distributed import SHORT, WITHOUT_EXTRAS, runs_in_mlflow, the_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TRAIN = ("-m", "pipeline.train")
ON_RANKS = ("-m", "tests.on_ranks")


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def torchrun(*words: str, root: Path, options: tuple[str, ...]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, *words],
        env={**environment(root), "PYTHONPATH": str(Path(__file__).parents[1])},
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def on_two(*words: str, root: Path) -> tuple[int, str, str]:
    process = torchrun(*words, root=root, options=("--nproc-per-node=2", f"--master-port={free_port()}"))
    out, err = process.communicate(timeout=400)
    return process.returncode, out, err


def test_torchrun_on_one_machine(tmp_path: Path) -> None:
    code, out, err = on_two(*TRAIN, *SHORT, root=tmp_path)
    assert code == 0, err
    assert out.count("finished after") == 1 and "2 processes x batch 32 = 64" in out
    assert json.loads((the_run(tmp_path) / "run.json").read_text())["status"] == "FINISHED"
    assert [status for _, status in runs_in_mlflow(tmp_path)] == ["FINISHED"]


def test_torchrun_on_two_machines(tmp_path: Path) -> None:
    """Two agents on one machine, each with a process of its own, that find each other by address."""
    where = ("--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={free_port()}")
    agents = [
        torchrun(*TRAIN, *SHORT, root=tmp_path, options=(*where, f"--node-rank={number}"))
        for number in (0, 1)
    ]
    answers = [agent.communicate(timeout=400) for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], answers
    assert "2 processes x batch 32 = 64" in answers[0][0]
    assert "finished" in answers[0][0] and "finished" not in answers[1][0]
    assert len(runs_in_mlflow(tmp_path)) == 1
    assert the_run(tmp_path).is_dir()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trainer.max_epoch=3",), "did you mean 'max_epochs'?"),
        (("data=image_folder", "data.data_dir=nowhere"), "nowhere"),
        (("--multirun", "seed=1"), "start torchrun once for each run"),
    ],
    ids=["of the configuration", "of the data", "a sweep"],
)
def test_a_mistake_is_told_once(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    _, _, err = on_two(*TRAIN, *SHORT, *words, root=tmp_path)
    told = [line for line in err.splitlines() if line.startswith("error:")]
    assert len(told) == 1 and message in err, err
    codes = [line.split(":")[1].split()[0] for line in err.splitlines() if "exitcode  :" in line]
    # An agent may end the others before they have ended by themselves.
    assert "2" in codes and set(codes) <= {"2", "-15", "143"}, err
    assert not list(tmp_path.glob("outputs/classification/*/*"))


class Job:
    """Two tasks of a step of SLURM, on one machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.called = root / "called"
        tool = root / "scontrol"
        tool.write_text(f"#!/bin/sh\necho $@ >> {self.called}\n")
        tool.chmod(0o755)

    def start(self, *words: str, restarts: int) -> "list[subprocess.Popen[str]]":
        told = {"JOB_ID": 4321, "RESTART_COUNT": restarts, "STEP_ID": 0, "STEP_NUM_TASKS": 2, "NTASKS": 2}
        told |= {"STEP_NUM_NODES": 1, "NNODES": 1, "JOB_NUM_NODES": 1, "NODEID": 0}
        variables = {f"SLURM_{name}": str(value) for name, value in told.items()}
        variables |= {"SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_NODELIST": "127.0.0.1"}
        variables |= {"MASTER_PORT": free_port(), "PATH": f"{self.root}:{os.environ['PATH']}"}
        return [
            subprocess.Popen(
                [sys.executable, *TRAIN, *words],
                env={
                    **environment(self.root),
                    **variables,
                    "SLURM_PROCID": str(number),
                    "SLURM_LOCALID": str(number),
                },
                cwd=self.root,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in (0, 1)
        ]


def test_a_job_that_slurm_puts_back_goes_on_in_its_run(tmp_path: Path) -> None:
    words = (*WITHOUT_EXTRAS, "trainer=slurm", "trainer.accelerator=cpu", "trainer.max_epochs=6")
    job = Job(tmp_path)
    tasks = job.start(*words, restarts=0)
    # Whatever went wrong instead, the tasks end and say it.
    eventually(lambda: bool(history(tmp_path)) or any(task.poll() is not None for task in tasks), 300)
    for task in tasks:
        task.send_signal(signal.SIGUSR1)
    answers = [task.communicate(timeout=200) for task in tasks]
    assert [task.returncode for task in tasks] == [138, 138], answers
    assert job.called.read_text() == "requeue 4321\n"
    assert json.loads((the_run(tmp_path) / "run.json").read_text())["status"] == "KILLED"
    assert len(history(tmp_path)) < 6, "it had ended before it could be put back"

    tasks = job.start(*words, restarts=1)
    answers = [task.communicate(timeout=400) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], answers
    assert "goes on from its last checkpoint" in answers[0][0]
    assert "2 processes x batch 32 = 64" in answers[0][0]
    assert [row["epoch"] for row in history(tmp_path)] == list(range(6))
    assert [status for _, status in runs_in_mlflow(tmp_path)] == ["FINISHED"]
    assert job.called.read_text() == "requeue 4321\n"


def history(root: Path) -> list[dict[str, float]]:
    found = list(root.glob("outputs/*/*/*/history.jsonl"))
    return [json.loads(line) for line in found[0].read_text().splitlines()] if found else []


def test_running_statistics_are_those_of_the_whole_batch_everywhere(tmp_path: Path) -> None:
    code, _, err = on_two(*ON_RANKS, "statistics", str(tmp_path), root=tmp_path)
    assert code == 0, err
    ranks = [torch.load(tmp_path / f"statistics_{number}.pt") for number in (0, 1)]
    expected = torch.zeros(3), torch.ones(3)
    for step in range(6):
        batches = [rank["seen"][step] for rank in ranks]
        found = (
            sum(batch.mean(dim=0) for batch in batches) / 2,
            sum(batch.var(dim=0) for batch in batches) / 2,
        )
        expected = 0.9 * expected[0] + 0.1 * found[0], 0.9 * expected[1] + 0.1 * found[1]
    kept = torch.load(tmp_path / "statistics.ckpt", weights_only=True)["state_dict"]
    for state in (kept, *(rank["state"] for rank in ranks)):
        torch.testing.assert_close(state["network.0.running_mean"], expected[0])
        torch.testing.assert_close(state["network.0.running_var"], expected[1])
    pairs = zip(ranks[0]["measured_with"], ranks[1]["measured_with"], strict=True)
    assert all(torch.equal(*pair) for pair in pairs), "validation measured two networks"


def test_sharded_weights_are_decayed_and_kept_whole(tmp_path: Path) -> None:
    from tests.lightning_modules.synthetic import task

    code, _, err = on_two(*ON_RANKS, "fsdp", str(tmp_path), root=tmp_path)
    assert code == 0, err
    ranks = [torch.load(tmp_path / f"fsdp_{number}.pt") for number in (0, 1)]
    both = {name: sum(rank["groups"].get(name, 0) for rank in ranks) for name in ranks[1]["groups"]}
    # Convolution; its bias and batch norm; the head's weights; its bias. No process has more than it must.
    assert both == {"body": 108, "body_no_decay": 12, "head": 12, "head_no_decay": 3}
    assert max(sum(rank["groups"].values()) for rank in ranks) <= 68
    kept = torch.load(tmp_path / "fsdp.ckpt", weights_only=True)["state_dict"]
    task().load_state_dict(kept)
