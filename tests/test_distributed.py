"""Several processes are one run: one folder, one MLflow run, and measures that count every image once."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands import Answer, run_verb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TWO = ("trainer=ddp_cpu", "trainer.devices=2")
# Test images that neither two nor three processes can share evenly: 359 digits, 11 scenes.
FEW_SCENES = (
    "data.num_train=40",
    "data.num_val=5",
    "data.num_test=11",
    "data.batch_size=2",
    "task.class_weights=balanced",
)
# There are two embedded test photographs: one for each process, and none for a third.
PAINTING = ("data.image_size=32", "data.crops_per_epoch=9", "trainer.max_epochs=1")
ONE_STYLE = (*PAINTING, "model.width=4")
ANY_STYLE = (*PAINTING, "model.layer=relu2_1")
OF_THE_MACHINE = ("test/seconds", "test/peak_memory")
SCENES = (
    "data.num_train=400",
    "data.num_val=5",
    "data.num_test=11",
    "data.batch_size=4",
    "optimizer.lr=0.002",
)
CASES: list[tuple[str, ...]] = [
    ("task=classification", "model=lenet5", "trainer.max_epochs=2"),
    ("task=detection", "model=faster_rcnn", "trainer.max_epochs=2", *SCENES),
    ("task=segmentation", "model=fcn8s", "trainer.max_epochs=1", *FEW_SCENES),
    ("task=verification", "network=lenet5", "trainer.max_epochs=1"),
    ("task=style_transfer", "model=fast_style", *ONE_STYLE),
    ("task=style_transfer", "model=adain", *ANY_STYLE),
]
WITHOUT_EXTRAS = ("task=classification", "model=lenet5", "callbacks.figures=null", "baselines=null")
PLAIN = (*WITHOUT_EXTRAS, "trainer.accelerator=cpu")
SHORT = (*PLAIN, "trainer.max_epochs=1", "trainer.limit_train_batches=3", "trainer.limit_test_batches=2")


def trained(root: Path, *words: str) -> Answer:
    answer = run_verb("train", *words, root=root)
    assert answer.code == 0, answer.err
    return answer


def the_run(root: Path) -> Path:
    (folder,) = root.glob("outputs/*/*/*")
    return folder


def runs_in_mlflow(root: Path) -> list[Any]:
    with sqlite3.connect(root / "mlflow.db") as database:
        return database.execute("select run_uuid, status from runs").fetchall()


def evaluated(root: Path, *, devices: int) -> dict[str, float]:
    path = root / f"on_{devices}.json"
    words = (f"output={path}", f"devices={devices}", "accelerator=cpu")
    answer = run_verb("evaluate", *words, root=root)
    assert answer.code == 0, answer.err
    assert answer.out.count("on test") == 1
    found: dict[str, float] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("words", CASES, ids=lambda words: " ".join(words[:2]))
def test_one_two_and_three_processes_measure_the_same(words: tuple[str, ...], tmp_path: Path) -> None:
    answer = trained(tmp_path, *words, *TWO)
    assert answer.out.count("finished after") == 1
    assert "2 processes x batch" in answer.out
    two = json.loads((the_run(tmp_path) / "metrics.json").read_text())
    assert len(runs_in_mlflow(tmp_path)) == 1
    counts = (1,) if "task=style_transfer" in words else (1, 3)
    for count in counts:
        for key, value in evaluated(tmp_path, devices=count).items():
            if key not in OF_THE_MACHINE:
                assert two[key] == pytest.approx(value, abs=1e-6), key
    assert len(list(the_run(tmp_path).glob("evaluations/*"))) == len(counts)
    judged = ("test/top1", "test/map", "test/miou", "test/auc", "test/ssim")
    assert any(0 < two.get(name, 0) < 1 for name in judged), "nothing was learned that could differ"


def losses(root: Path) -> list[float]:
    lines = (the_run(root) / "history.jsonl").read_text().splitlines()
    return [json.loads(line)["train/loss"] for line in lines]


def test_two_halves_of_a_batch_teach_what_the_whole_batch_does(tmp_path: Path) -> None:
    """Twenty steps of SGD without batch norm, an epoch each, so that each step's loss is written down."""
    words = (*PLAIN, "optimizer=sgd", "scheduler=constant", "transforms=none", "trainer.max_epochs=20")
    words += ("trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1")
    curves = {}
    for name, more in {"one": ("data.batch_size=32",), "two": ("data.batch_size=16", *TWO)}.items():
        (tmp_path / name).mkdir()
        trained(tmp_path / name, *words, *more, "optimizer.lr=0.1")
        curves[name] = losses(tmp_path / name)
    assert len(curves["one"]) == 20
    assert curves["two"] == pytest.approx(curves["one"], abs=1e-4)
    assert curves["one"][-1] < curves["one"][0] - 0.1, "nothing was learned that could differ"


def test_a_sweep_of_distributed_runs_is_as_many_runs(tmp_path: Path) -> None:
    rates = "optimizer.lr=0.01,0.001"
    answer = run_verb("train", *SHORT, *TWO, rates, "--multirun", root=tmp_path)
    assert answer.code == 0, answer.err
    folders = sorted(tmp_path.glob("outputs/classification/*/*"))
    configs = [yaml.safe_load((folder / "config.yaml").read_text()) for folder in folders]
    assert sorted(config["optimizer"]["lr"] for config in configs) == [0.001, 0.01]
    assert {status for _, status in runs_in_mlflow(tmp_path)} == {"FINISHED"}
    assert len(runs_in_mlflow(tmp_path)) == 3, "two, and the sweep above them"
    assert answer.out.count("2 processes x batch") == 2
