"""Detection from data to predictions through the same verbs as every other task."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.commands import environment, eventually, run_verb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SMALL = ("task=detection", "data.num_train=96", "data.num_val=16", "data.num_test=24")
# Enough that average precision is not nothing, so that it could differ.
LEARNING = ("task=detection", "data.num_train=400", "data.batch_size=4", "optimizer.lr=0.002", *SMALL[2:])
QUIET = ("trainer.accelerator=cpu", "logger=none")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one short run in it."""
    folder = tmp_path_factory.mktemp("runs")
    answer = run_verb("train", *LEARNING, *QUIET, "trainer.max_epochs=2", root=folder)
    assert answer.code == 0, answer.err
    for shown in ("faster_rcnn", "objects", "train 400 val 16 test 24", "test/map"):
        assert shown in answer.out
    return folder


def the_run(root: Path) -> Path:
    (folder,) = root.glob("outputs/detection/faster_rcnn/*")
    return folder


def test_a_run_leaves_what_people_look_for(root: Path) -> None:
    measures = json.loads((the_run(root) / "metrics.json").read_text())
    losses = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg")
    assert {f"train/{name}" for name in ("loss", *losses)} <= measures.keys()
    parts = sum(measures[f"train/{name}"] for name in losses)
    assert measures["train/loss"] == pytest.approx(parts, rel=1e-5)
    for stage in ("val", "test"):
        assert {
            f"{stage}/map",
            f"{stage}/map_50",
            f"{stage}/mar_100",
            f"{stage}/voc07_map_50",
        } <= measures.keys()
    figures = {path.name for path in (the_run(root) / "figures").iterdir()}
    assert {"precision_recall.png", "confusion_matrix.png", "errors.png", "per_class.csv"} <= figures
    assert list((the_run(root) / "figures" / "epochs").glob("predictions_epoch_*.png"))


def test_evaluate_in_a_new_process_measures_the_same(root: Path) -> None:
    output = root / "test.json"
    answer = run_verb("evaluate", f"output={output}", "batch_size=5", root=root)
    assert answer.code == 0, answer.err
    found, reported = (json.loads(path.read_text()) for path in (output, the_run(root) / "metrics.json"))
    assert found.keys() == {key for key in reported if key.startswith("test/")}
    for key, value in found.items():
        assert value == pytest.approx(reported[key], abs=1e-6), key


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two pictures of different sizes, and one that is cut short."""
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    for name, shape in (("wide", (90, 150, 3)), ("tall", (140, 70, 3))):
        cv2.imwrite(str(folder / f"{name}.png"), generator.integers(0, 255, shape, dtype=np.uint8))
    whole = (folder / "wide.png").read_bytes()
    (folder / "short.png").write_bytes(whole[: len(whole) // 2])
    return folder


def test_predictions_are_a_table_and_what_coco_reads(root: Path, photograph: Path, tmp_path: Path) -> None:
    for ending in ("csv", "json"):
        words = (f"input={photograph}", f"output={tmp_path / f'found.{ending}'}", "min_score=0.0")
        answer = run_verb("predict", *words, root=root)
        assert answer.code == 1 and "short.png" in answer.out, answer.err
    table = pd.read_csv(tmp_path / "found.csv")
    records: list[dict[str, Any]] = json.loads((tmp_path / "found.json").read_text())
    assert len(table) == len(records) > 0
    assert (table["x2"] > table["x1"]).all() and (table["x2"] <= 150).all() and (table["x1"] >= 0).all()
    assert set(table["file"]) == {str(photograph / f"{name}.png") for name in ("wide", "tall")}
    assert table["score"].between(0, 1).all()
    box = records[0]["bbox"]
    assert box[2] == pytest.approx(table["x2"][0] - table["x1"][0], abs=0.01)
    assert len(list((tmp_path / "found").glob("*.png"))) == 4  # two pictures, twice


def test_results_of_the_test_split_are_those_that_pycocotools_measures(root: Path, tmp_path: Path) -> None:
    """The detections that a run leaves, against truth that this test writes down again by itself."""
    from datamodules.detection import DigitScenes

    data = DigitScenes(
        transforms={"train": {}, "eval": {}},
        seed=0,
        image_size=128,
        scale="light",
        num_train=400,
        num_val=16,
        num_test=24,
        cache_dir=str(root / "data" / "digit_scenes"),
    )
    data.setup()
    truth: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [
            {"id": number, "name": name}
            for number, name in zip(data.metadata["category_ids"], data.metadata["class_names"], strict=True)
        ],
    }
    dataset = data.dataset("test", augment=False)
    identities = data.image_ids("test")
    for place in range(len(dataset)):
        item = dataset[place]
        truth["images"].append({"id": int(identities[place]), "height": 1, "width": 1})
        for box, label, area in zip(item["boxes"].tolist(), item["labels"], item["areas"], strict=True):
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": int(identities[place]),
                    "category_id": data.metadata["category_ids"][int(label)],
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "area": float(area),
                    "iscrowd": 0,
                }
            )
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    reference = COCO(str(tmp_path / "truth.json"))
    evaluation = COCOeval(
        reference, reference.loadRes(str(the_run(root) / "figures" / "detections.json")), "bbox"
    )
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    reported = json.loads((the_run(root) / "metrics.json").read_text())
    assert 0.01 < reported["test/map"] < 1
    assert reported["test/map"] == pytest.approx(evaluation.stats[0], abs=1e-6)
    assert reported["test/map_50"] == pytest.approx(evaluation.stats[1], abs=1e-6)


def test_interrupted_training_goes_on_to_the_same_weights(root: Path, tmp_path: Path) -> None:
    words = [*SMALL, *QUIET, "trainer.max_epochs=2", "callbacks.figures=null"]
    broken = tmp_path / "broken"
    broken.mkdir()
    whole = run_verb("train", *words, root=tmp_path / "whole", cwd=tmp_path)
    assert whole.code == 0, whole.err
    command = [sys.executable, "-m", "pipeline.train", *words, "callbacks.keep_last.every_n_steps=3"]
    process = subprocess.Popen(
        command, env=environment(broken), cwd=broken, stdout=subprocess.DEVNULL, start_new_session=True
    )
    assert eventually(lambda: any(broken.glob("outputs/*/*/*/checkpoints/last.ckpt")), 120)
    for worker in psutil.Process(process.pid).children(recursive=True):
        worker.kill()
    process.wait()
    answer = run_verb("train", "resume=latest", root=broken)
    assert answer.code == 0, answer.err
    first, second = (
        torch.load(next(folder.glob("outputs/*/*/*/checkpoints/last.ckpt")), weights_only=True)["state_dict"]
        for folder in (tmp_path / "whole", broken)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_browse_and_data_show_the_scenes(root: Path) -> None:
    output = root / "sheet.png"
    answer = run_verb("browse", *SMALL, "count=6", f"output={output}", root=root)
    assert answer.code == 0, answer.err
    assert cv2.imread(str(output)).shape[0] > 200
    answer = run_verb("data", *SMALL, root=root)
    assert answer.code == 0, answer.err
    assert "nothing is broken" in answer.out and "train" in answer.out
    (report,) = (root / "outputs" / "data").glob("*.json")
    assert json.loads(report.read_text())["problems"] == []
