"""What is done with a trained run: evaluate, predict, and what is said when something is wrong."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_digits

from tests.commands import Answer, run_verb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one short run in it."""
    folder = tmp_path_factory.mktemp("runs")
    words = ("model=lenet5", "trainer.max_epochs=6", "trainer.accelerator=cpu", "logger=none")
    answer = run_verb("train", *words, root=folder)
    assert answer.code == 0, answer.err
    for shown in (
        "61.7 k parameters",
        "train 1,078 val 360 test 359",
        "better than",
        "make predict",
        "figures/",
    ):
        assert shown in answer.out
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve test digits under their labels' names, and a PNG that is cut short."""
    folder = tmp_path_factory.mktemp("pictures")
    digits = load_digits()
    for number in range(1500, 1512):
        scan = (digits.images[number] * 255 / 16).astype(np.uint8)
        cv2.imwrite(str(folder / f"{digits.target[number]}_{number}.png"), scan)
    whole = (folder / f"{digits.target[1500]}_1500.png").read_bytes()
    (folder / "short.png").write_bytes(whole[: len(whole) // 2])
    return folder


def the_run(root: Path) -> Path:
    (folder,) = root.glob("outputs/classification/lenet5/*")
    return folder


def test_a_run_leaves_what_people_look_for(root: Path) -> None:
    for name in ("config.yaml", "metrics.json", "run.log", "history.jsonl", "checkpoints/last.ckpt"):
        assert (the_run(root) / name).is_file(), name
    figures = {path.name for path in (the_run(root) / "figures").iterdir()}
    assert {
        "confusion_matrix.png",
        "reliability_diagram.png",
        "learning_curves.png",
        "per_class.csv",
    } <= figures
    metrics = json.loads((the_run(root) / "metrics.json").read_text())
    task = yaml.safe_load((Path(__file__).parents[2] / "conf" / "task" / "classification.yaml").read_text())
    assert set(task["measures"]) == {"loss", "top1", "top5", "f1", "auc", "ece"}
    for stage in ("train", "val", "test"):
        measured = {key.partition("/")[2] for key in metrics if key.startswith(f"{stage}/")}
        assert measured - {"loss_step"} == set(task["measures"])
    assert metrics["baseline/majority"] < 0.2


@pytest.mark.parametrize("split", ["val", "test"])
def test_evaluate_measures_what_training_reported(split: str, root: Path) -> None:
    output = root / f"{split}.json"
    answer = run_verb("evaluate", f"split={split}", f"output={output}", "batch_size=50", root=root)
    assert answer.code == 0, answer.err
    found, reported = (json.loads(path.read_text()) for path in (output, the_run(root) / "metrics.json"))
    assert set(found) == {key for key in reported if key.startswith(f"{split}/")}
    for key, value in found.items():
        assert value == pytest.approx(reported[key], abs=1e-6), key


def test_evaluate_takes_a_checkpoint_alone(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "somebodys.ckpt"
    copy.write_bytes((the_run(root) / "checkpoints" / "last.ckpt").read_bytes())
    answer = run_verb("evaluate", f"checkpoint={copy}", "task=classification", root=tmp_path)
    assert answer.code == 0, answer.err
    assert "test/top1" in answer.out


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_predict_goes_on_after_a_broken_file(ending: str, root: Path, pictures: Path, tmp_path: Path) -> None:
    output = tmp_path / f"table.{ending}"
    answer = run_verb("predict", f"input={pictures}", f"output={output}", "pictures=3", root=root)
    assert answer.code == 1
    assert "short.png" in answer.out
    assert "12 of 13" in answer.out
    readers = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}
    table: pd.DataFrame = readers[ending](output)
    assert len(table) == 12
    right = [str(row["label"]) == Path(row["file"]).name[0] for _, row in table.iterrows()]
    assert np.mean(right) > 0.7
    named = [column for column in table.columns if column.startswith("probability_")]
    assert table[named].sum(axis=1).to_numpy() == pytest.approx(np.ones(12), abs=1e-4)
    assert len(list((tmp_path / "table").glob("*.png"))) == 3


def test_predict_takes_a_file_and_a_glob(root: Path, pictures: Path, tmp_path: Path) -> None:
    one = sorted(pictures.glob("*_1500.png"))[0]
    for given, count in ((one, 1), (f"{pictures}/*_150?.png", 10)):
        answer = run_verb("predict", f"input='{given}'", f"output={tmp_path / 'table.csv'}", root=root)
        assert answer.code == 0, answer.err
        assert len(pd.read_csv(tmp_path / "table.csv")) == count


def says(answer: Answer, *words: str) -> None:
    assert answer.code == 2, answer.err
    assert "Traceback" not in answer.err
    for word in words:
        assert word in answer.err


def test_what_is_wrong_is_named(root: Path, pictures: Path, tmp_path: Path) -> None:
    says(run_verb("predict", "input=nowhere", root=root), "input=nowhere", "no images here")
    says(run_verb("predict", f"input={pictures}", "output=table.xls", root=root), "table.xls", ".parquet")
    says(run_verb("evaluate", "run=zzzz", root=root), "run=zzzz", "run=latest")
    says(run_verb("evaluate", "task=detection", root=root), "no run of task=detection")
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes((the_run(root) / "checkpoints" / "last.ckpt").read_bytes()[:5000])
    says(run_verb("evaluate", f"checkpoint={broken}", root=root), "broken.ckpt", "damaged")
    says(run_verb("evaluate", "checkpoint=nothing.ckpt", root=root), "there is no such file")


def test_models_as_json_have_the_published_sizes(tmp_path: Path) -> None:
    answer = run_verb("models", "format=json", root=tmp_path)
    found = {entry["model"]: entry for entry in json.loads(answer.out)}
    published = {
        "lenet5": (61_706, 416_520),
        "resnet18": (11_689_512, 1_814_073_344),
        "resnet34": (21_797_672, 3_663_761_408),
        "resnet50": (25_557_032, 4_089_184_256),
        "resnet101": (44_549_160, 7_801_405_440),
        "resnet152": (60_192_808, 11_513_626_624),
        "faster_rcnn": (41_808_406, 134_379_721_216),
    }
    for name, (parameters, multiply_adds) in published.items():
        assert found[name]["parameters"] == parameters
        assert found[name]["multiply_adds"] == multiply_adds
        assert found[name]["paper"].startswith("https://")
    listed = {path.stem for path in (Path(__file__).parents[2] / "conf" / "model").glob("*.yaml")}
    assert set(found) == listed


def test_browse_draws_each_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        output = tmp_path / f"{split}.png"
        words = (f"split={split}", "transforms=heavy", "count=12", f"output={output}")
        answer = run_verb("browse", *words, root=tmp_path)
        assert answer.code == 0, answer.err
        assert cv2.imread(str(output)).shape[0] > 200
