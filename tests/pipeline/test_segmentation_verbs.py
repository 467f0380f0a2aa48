"""Segmentation from data to predictions through the same verbs as every other task."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from PIL import Image

from pipeline.compose import Composed, compose_plain, problems_of, settings_of
from tests.commands import environment, eventually, run_verb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SIZES = ("data.num_train=48", "data.num_val=5", "data.num_test=7")
# Balanced, so that not everything is background after a few steps.
SMALL = (
    "task=segmentation",
    *SIZES,
    "data.image_size=96",
    "data.batch_size=4",
    "task.class_weights=balanced",
)
QUIET = ("trainer.accelerator=cpu", "logger=none", "trainer.max_epochs=2")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one short run in it."""
    folder = tmp_path_factory.mktemp("runs")
    answer = run_verb("train", *SMALL, *QUIET, root=folder)
    assert answer.code == 0, answer.err
    for shown in ("fcn8s", "pixels", "train 48 val 5 test 7", "test/miou", "commonest class everywhere"):
        assert shown in answer.out
    return folder


def call(verb: str, *words: str, root: Path) -> int:
    """The work of a verb in this process: the imports of a new one would take longer than the work."""
    config = compose_plain(verb=verb, overrides=list(words))
    assert problems_of(verb=verb, config=config) == []
    settings = settings_of(verb=verb, config=config)
    composed = Composed(
        verb=verb, config=config, settings=settings, overrides=list(words), root=root, show_traceback=True
    )
    return int(importlib.import_module(f"pipeline.work.{verb}").run(composed=composed, **settings))


def the_run(root: Path) -> Path:
    (folder,) = root.glob("outputs/segmentation/fcn8s/*")
    return folder


def test_a_run_leaves_what_people_look_for(root: Path) -> None:
    measures = json.loads((the_run(root) / "metrics.json").read_text())
    names = ("loss", "miou", "pixel_accuracy", "mean_accuracy", "fw_iou", "boundary_f1")
    assert {f"{stage}/{name}" for stage in ("val", "test") for name in names} <= measures.keys()
    parts = [measures[f"train/loss_{name}"] for name in ("cross_entropy", "dice")]
    assert measures["train/loss"] == pytest.approx(sum(parts), rel=1e-5)
    baseline = "baseline/commonest_class_everywhere"
    assert measures[baseline] < 0.1 < 0.9 < measures[f"{baseline}/pixel_accuracy"]
    figures = {path.name for path in (the_run(root) / "figures").iterdir()}
    assert {"confusion_matrix.png", "predictions.png", "per_class.csv", "learning_curves.png"} <= figures
    assert len(list((the_run(root) / "figures" / "epochs").glob("predictions_epoch_*.png"))) == 2


def test_evaluate_in_a_new_process_measures_the_same(root: Path) -> None:
    output = root / "test.json"
    answer = run_verb("evaluate", f"output={output}", "batch_size=3", root=root)
    assert answer.code == 0, answer.err
    found, reported = (json.loads(path.read_text()) for path in (output, the_run(root) / "metrics.json"))
    assert found.keys() == {key for key in reported if key.startswith("test/")}
    for key, value in found.items():
        assert value == pytest.approx(reported[key], abs=1e-6), key


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of different sizes, two of them of one name, and one that is cut short."""
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    for name, shape in (("wide", (90, 150, 3)), ("tall", (141, 70, 3)), ("more/wide", (40, 33, 3))):
        (folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"{name}.png"), generator.integers(0, 255, shape, dtype=np.uint8))
    whole = (folder / "wide.png").read_bytes()
    (folder / "short.png").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.mark.parametrize("words", [(), ("window=48", "window_overlap=0.5", "batch_size=1")], ids=str)
def test_predictions_are_masks_pictures_and_areas(
    root: Path, photographs: Path, tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "found.csv"
    assert call("predict", f"input={photographs}", f"output={table}", "pictures=2", *words, root=root) == 1
    assert "short.png" in capsys.readouterr().out
    rows = pd.read_csv(table, dtype={"class": str})
    assert list(rows.columns) == ["file", "mask", "class", "pixels", "share"]
    assert sorted(path.name for path in (tmp_path / "found" / "masks").iterdir()) == [
        "tall.png",
        "wide.png",
        "wide_2.png",
    ]
    assert len(list((tmp_path / "found").glob("*.png"))) == 2
    names = pd.read_csv(the_run(root) / "figures" / "per_class.csv", dtype={"class": str})["class"]
    assert rows["class"].nunique() > 2
    for file, of_file in rows.groupby("file"):
        mask = Image.open(tmp_path / "found" / "masks" / of_file["mask"].iloc[0])
        assert mask.mode == "P"
        assert mask.size == cv2.imread(str(file)).shape[1::-1]
        counts = np.bincount(np.asarray(mask).ravel(), minlength=11)
        assert dict(zip(of_file["class"], of_file["pixels"], strict=True)) == {
            names[place]: count for place, count in enumerate(counts.tolist()) if count
        }
        assert of_file["share"].sum() == pytest.approx(1, abs=1e-5)


def test_interrupted_training_goes_on_to_the_same_weights(root: Path, tmp_path: Path) -> None:
    words = [*SMALL, *QUIET, f"data.cache_dir={root / 'data' / 'digit_scenes'}"]
    words += ["callbacks.figures=null", "callbacks.keep_last.every_n_steps=5"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.train", *words],
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert eventually(lambda: any(tmp_path.glob("outputs/*/*/*/checkpoints/last.ckpt")), 120)
    for worker in psutil.Process(process.pid).children(recursive=True):
        worker.kill()
    process.wait()
    answer = run_verb("train", "resume=latest", root=tmp_path)
    assert answer.code == 0, answer.err
    first, second = (
        torch.load(next(folder.glob("outputs/*/*/*/checkpoints/last.ckpt")), weights_only=True)["state_dict"]
        for folder in (root, tmp_path)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_browse_and_data_show_the_scenes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (*SMALL, f"data.cache_dir={root / 'data' / 'digit_scenes'}")
    output = root / "sheet.png"
    assert call("browse", *words, "count=6", f"output={output}", root=root) == 0
    assert cv2.imread(str(output)).shape[0] > 200
    assert call("data", *words, root=root) == 0
    shown = capsys.readouterr().out
    assert "nothing is broken" in shown and "background" in shown
