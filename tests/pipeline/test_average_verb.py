"""Averages as a person makes them: on the digits, in one process and in two."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.commands import run_verb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORDS = ("model=lenet5", "scheduler=constant", "optimizer.lr=0.005", "trainer.accelerator=cpu")
KEPT = ("trainer.max_epochs=5", "callbacks.checkpoint.save_top_k=3", "callbacks.keep_last.keep_epochs=3")


def runs(root: Path) -> list[Path]:
    """Folders of all runs, the oldest first."""
    facts = {path.parent: json.loads(path.read_text()) for path in root.glob("outputs/*/*/*/run.json")}
    return sorted(facts, key=lambda folder: facts[folder]["started"])


def read(folder: Path, name: str = "metrics.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text())
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run that kept its best and its last epochs."""
    folder = tmp_path_factory.mktemp("averages")
    answer = run_verb("train", *WORDS, *KEPT, root=folder)
    assert answer.code == 0, answer.err
    return folder


def test_an_average_is_a_run_of_its_own(root: Path) -> None:
    from mlflow import MlflowClient

    parent = runs(root)[0]
    before = len(runs(root))
    answer = run_verb("average", f"run={parent.name[-8:]}", "which=last_k", "k=3", root=root)
    assert answer.code == 0, answer.err
    assert "average" in answer.out and "val/top1" in answer.out
    made = runs(root)[-1]
    assert len(runs(root)) == before + 1, answer.out
    states = [
        torch.load(parent / "checkpoints" / f"recent_{epoch:03d}.ckpt", weights_only=True)["state_dict"]
        for epoch in (2, 3, 4)
    ]
    found = torch.load(made / "checkpoints" / "average.ckpt", weights_only=True)["state_dict"]
    for name, tensor in found.items():
        mean = torch.stack([state[name].double() for state in states]).mean(dim=0)
        torch.testing.assert_close(tensor.double(), mean, rtol=1e-6, atol=1e-7, msg=name)
    assert read(made)["parent/val/top1"] <= read(made)["val/top1"]
    facts = read(made, "run.json")
    assert facts["average"]["parents"] == [read(parent, "run.json")["run_id"]]
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    run = client.get_run(facts["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["parents"] == facts["average"]["parents"][0]
    assert run.data.metrics["test/top1"] == pytest.approx(read(made)["test/top1"])


def test_it_is_used_like_any_run(root: Path) -> None:
    run_verb("average", f"run={runs(root)[0].name[-8:]}", "which=ema", root=root)
    made = runs(root)[-1]
    assert (made / "checkpoints" / "average.ckpt").is_file()
    output = root / "again.json"
    answer = run_verb("evaluate", f"run={made.name[-8:]}", "split=test", f"output={output}", root=root)
    assert answer.code == 0, answer.err
    for name, value in json.loads(output.read_text()).items():
        assert read(made)[name] == pytest.approx(value, abs=1e-6), name
    resumed = run_verb("train", f"resume={made.name[-8:]}", root=root)
    assert resumed.code == 2
    assert "was not trained" in resumed.err


def test_a_worse_average_is_told_and_not_kept(root: Path) -> None:
    # Runs that began apart do not average.
    parent = runs(root)[0]
    answer = run_verb("train", *WORDS, "trainer.max_epochs=4", "seed=1", root=root)
    assert answer.code == 0, answer.err
    folders = runs(root)
    both = f"runs=[{parent.name[-8:]},{folders[-1].name[-8:]}]"
    answer = run_verb("average", "which=soup", both, root=root)
    assert answer.code == 0, answer.err
    assert "nothing was kept" in answer.out
    assert runs(root) == folders


@pytest.mark.parametrize("callbacks", [("callbacks=ema",), ("callbacks=swa", "callbacks.swa.start=0")])
def test_two_processes_keep_and_measure_one_average(callbacks: tuple[str, ...], tmp_path: Path) -> None:
    two = ("trainer.devices=2", "trainer.strategy=ddp", "trainer.max_epochs=2", "trainer.accelerator=cpu")
    answer = run_verb(
        "train", "model=resnet8", "data.batch_size=64", "logger=none", *two, *callbacks, root=tmp_path
    )
    assert answer.code == 0, answer.err
    (folder,) = runs(tmp_path)
    alone = tmp_path / "alone.json"
    for split in ("val", "test"):
        words = (f"output={alone}", f"split={split}")
        assert run_verb("evaluate", *words, root=tmp_path).code == 0
        for name, value in json.loads(alone.read_text()).items():
            assert read(folder)[name] == pytest.approx(value, abs=1e-6), name
