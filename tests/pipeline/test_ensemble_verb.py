"""Ensembles as a person makes them, from training to prediction, and of every task."""

import json
from pathlib import Path
from typing import Any

import cv2
import pandas as pd
import pytest
import torch

from pipeline.work.loading import load_trained
from tests.commands import run_verb
from tests.pipeline.ensembles import join, untrained_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DIGITS = ("task=classification", "model=lenet5", "trainer.max_epochs=2", "trainer=cpu", "optimizer.lr=0.003")

SCENES = ("data.num_train=4", "data.num_val=6", "data.num_test=6", "data.image_size=64", "data.batch_size=3")
SMALL = ("trainer=cpu", "logger=none")
TASKS: dict[str, tuple[str, ...]] = {
    "detection": (*SCENES, "model=faster_rcnn", "data.scale=light"),
    "segmentation": (*SCENES, "model=fcn8s"),
    "verification": ("model=triplet", "network=lenet5"),
    "style_transfer": ("model=gatys", "data.image_size=64"),
}


def read(folder: Path, name: str = "metrics.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text())
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two members that were trained for it, and their ensemble."""
    folder = tmp_path_factory.mktemp("ensembles")
    answer = run_verb("ensemble", *DIGITS, "members=2", "seed=3", "draws=100", root=folder)
    assert answer.code == 0, answer.err
    for shown in ("member 2 of 2 (seed=4) has finished", "mean member", "calibration", "make evaluate run="):
        assert shown in answer.out
    return folder


def the_ensemble(root: Path) -> Path:
    (folder,) = root.glob("outputs/classification/ensemble/*")
    return folder


def test_members_are_ordinary_runs_and_the_ensemble_names_them(root: Path) -> None:
    from mlflow import MlflowClient

    members = sorted(root.glob("outputs/classification/lenet5/*"))
    seeds = {
        read(folder, "run.json")["run_id"]: read(folder, "run.json")["overrides"][-1] for folder in members
    }
    facts = read(the_ensemble(root), "run.json")
    assert [seeds[run] for run in facts["ensemble"]["parents"]] == ["seed=3", "seed=4"]
    run = MlflowClient(f"sqlite:///{root}/mlflow.db").get_run(facts["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["parents"].split() == facts["ensemble"]["parents"]
    assert run.data.tags["model"] == "ensemble" and run.data.tags["ensemble"] == "mean_probability"
    measures = read(the_ensemble(root))
    for name in ("test/top1", "gain/mean_member_low", "mean_member/test/loss", "cost/seconds_per_image"):
        assert run.data.metrics[name] == pytest.approx(measures[name])
    assert run.data.metrics["test/top1"] > 0.8


def test_it_evaluates_and_predicts_in_fresh_processes(root: Path, tmp_path: Path) -> None:
    output = tmp_path / "again.json"
    answer = run_verb("evaluate", "run=latest", f"output={output}", "batch_size=50", root=root)
    assert answer.code == 0, answer.err
    for name, value in json.loads(output.read_text()).items():
        assert value == pytest.approx(read(the_ensemble(root))[name], abs=1e-6), name
    from sklearn.datasets import load_digits

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(10):
        cv2.imwrite(str(pictures / f"{number}.png"), (load_digits().images[number] * 15).astype("uint8"))
    checkpoint = the_ensemble(root) / "checkpoints" / "ensemble.ckpt"
    table = tmp_path / "table.csv"
    words = (f"checkpoint={checkpoint}", f"input={pictures}", f"output={table}")
    answer = run_verb("predict", *words, root=tmp_path)
    assert answer.code == 0, answer.err
    # The first ten scans are a nought to a nine, and were trained on.
    found = pd.read_csv(table)
    files = [int(Path(file).stem) for file in found["file"]]
    assert sum(str(label) == str(file) for label, file in zip(found["label"], files, strict=True)) >= 8


def test_it_is_not_exported_as_one_of_its_networks(root: Path) -> None:
    answer = run_verb("export", "run=latest", root=root)
    assert answer.code == 2 and "is an ensemble of 2 networks" in answer.err, answer.err


def test_what_trains_refuses_it(root: Path) -> None:
    run = read(the_ensemble(root), "run.json")["run_id"][:8]
    for words in (("train", f"resume={run}"), ("average", f"run={run}", "which=last_k")):
        answer = run_verb(*words, root=root)
        assert answer.code == 2 and "is an ensemble" in answer.err, answer.err


def test_other_images_are_refused_before_anything_is_loaded(root: Path) -> None:
    answer = run_verb(
        "train", *DIGITS, "data.image_size=40", "trainer.max_epochs=1", "logger=none", root=root
    )
    assert answer.code == 0, answer.err
    parents = read(the_ensemble(root), "run.json")["ensemble"]["parents"]
    answer = run_verb("ensemble", f"runs=[latest,{parents[0]}]", root=root)
    assert answer.code == 2 and "40 for one and 32 for the other" in answer.err, answer.err


@pytest.mark.parametrize("task", TASKS)
def test_two_of_every_task_are_one(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_ROOT", str(tmp_path))
    words = (f"task={task}", *TASKS[task], *SMALL)
    runs = [untrained_run(tmp_path, number, *words) for number in (1, 2)]
    made = join(tmp_path, runs, "draws=5")
    measures = read(made)
    monitored = load_trained(root=tmp_path, run=runs[0], checkpoint=None, task=None).config["task"]["monitor"]
    assert f"test/{monitored.partition('/')[2]}" in measures and "gain/mean_member" in measures
    assert (made / "figures" / "ensemble.png").is_file()
    trained: Any = load_trained(root=tmp_path, run="latest", checkpoint=None, task=task)
    assert len(trained.task.team) == 2
    if task == "verification":
        assert torch.isfinite(trained.task.threshold)
    output = tmp_path / "again.json"
    answer = run_verb("evaluate", f"task={task}", f"output={output}", root=tmp_path)
    assert answer.code == 0, answer.err
    for name, value in json.loads(output.read_text()).items():
        expected = (
            pytest.approx(measures[name], abs=1e-5, nan_ok=True) if measures[name] is not None else None
        )
        assert (value if value == value else None) == expected, name
