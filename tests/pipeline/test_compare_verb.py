"""`make compare` as a person types it: at once where nothing is measured, and real networks where it is."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.compose import compose_plain
from tests.commands import AT_ONCE, environment, run_verb
from tests.pipeline.compared import board, made_run

SMALL = ("trainer=cpu", "trainer.max_epochs=1", "callbacks.figures=null", "trainer.limit_train_batches=8")
SCENES = ("data.num_train=4", "data.num_val=4", "data.num_test=6", "data.image_size=64", "data.batch_size=3")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(4):
        measures = {"test/top1": 0.9 + 0.01 * number, "val/top1": 0.9}
        made_run(tmp_path, number, lr=number // 2, seed=number % 2, measures=measures)
    return tmp_path


def test_a_table_and_a_page_need_neither_torch_nor_mlflow(root: Path) -> None:
    script = (
        "import sys, pipeline.compare as verb\n"
        "try:\n    verb.main()\nfinally:\n    print('LOADED', {'torch', 'mlflow'} & set(sys.modules))"
    )
    words = ["task=classification", "output=page"]
    command = [sys.executable, "-c", script, *words]
    done = subprocess.run(
        command, env=environment(root), cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "LOADED set()" in done.stdout
    assert "0.9250 ± 0.0071" in done.stdout and "page/compare.html" in done.stdout
    assert "make compare task=classification output=page paired=true" in " ".join(
        done.stdout.split()
    ).replace("│ ", "")
    assert (root / "page" / "compare.html").is_file() and not (root / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("runs=[00000000,zzz]",), "no run has this id"),
        (("runs=[00000000,00000001]", "paired=true"), "kept no checkpoint"),
        (("sort=tpo1",), "'top1'"),
        (("sweep=latest",), "there is no sweep"),
        (("top=0",), "top"),
        (("sotr=top1",), "sort"),
    ],
)
def test_a_mistake_is_one_message(root: Path, words: tuple[str, ...], right: str) -> None:
    answer = run_verb("compare", *words, root=root)
    assert answer.code == 2, answer.out
    assert right in answer.err and "Traceback" not in answer.err
    assert answer.seconds < AT_ONCE
    assert not (root / "outputs" / "comparisons").exists()


@pytest.mark.slow
def test_a_thousand_runs_are_listed_in_seconds(tmp_path: Path) -> None:
    config = compose_plain(verb="train", overrides=["task=classification"])
    for number in range(1000):
        own = {"optimizer": {**config["optimizer"], "lr": 0.001 * (number // 5)}, "seed": number % 5}
        made_run(tmp_path, number, measures={"test/top1": number / 1000}, config={**config, **own})
    started = time.process_time()  # others may use the machine
    assert len(board(tmp_path, task_name="classification").groups) == 200
    assert time.process_time() - started < 8


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    for words in (("model=lenet5",), ("model=resnet8", "seed=1")):
        answer = run_verb("train", *words, *SMALL, root=folder)
        assert answer.code == 0, answer.err
    return folder


def ids(root: Path, task: str = "classification") -> list[str]:
    paths = sorted(root.glob(f"outputs/{task}/*/*/run.json"))
    return [json.loads(path.read_text())["run_id"] for path in paths]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_two_classifiers_on_the_same_images(trained: Path) -> None:
    from mlflow import MlflowClient

    names = ids(trained)
    typed = f"runs=[{','.join(name[:8] for name in names)}]"
    answer = run_verb("compare", typed, "draws=200", "output=first", root=trained)
    assert answer.code == 0, answer.err
    assert "McNemar" in answer.out and "measuring network 2 of 2" in answer.out
    found = json.loads((trained / "first" / "compare.json").read_text())
    for row in found["rows"]:
        assert row["cost"]["parameters"] > 1000 and row["cost"]["seconds"] > 0
    paired = found["paired"]
    assert paired["images"] == 359 and paired["draws"] == 200
    by_id = {row["runs"][0]: row["measures"]["test/top1"]["mean"] for row in found["rows"]}
    top1 = next(one for one in paired["measures"] if one["name"] == "test/top1")
    assert [top1[side]["value"] for side in ("first", "second")] == pytest.approx(
        [by_id[run] for run in paired["runs"]], abs=1e-6
    )
    split = paired["discordant"]
    gained = (split["only_first"] - split["only_second"]) / 359
    assert top1["gain"]["value"] == pytest.approx(gained, abs=1e-6)
    page = (trained / "first" / "compare.html").read_text()
    assert "McNemar" in page and page.count("<svg") == 4 and "lenet5" in page

    client = MlflowClient(f"sqlite:///{trained}/mlflow.db")
    experiment = client.get_experiment_by_name("classification")
    own = client.get_experiment_by_name("comparisons")
    (kept,) = client.search_runs([own.experiment_id], "tags.kind = 'comparison'")
    assert sorted(kept.data.tags["compared"].split()) == sorted(names)
    assert {file.path for file in client.list_artifacts(kept.info.run_id)} >= {"compare.html", "compare.json"}
    assert names[0] in answer.out and f"experiments=%5B%22{experiment.experiment_id}%22%5D" in answer.out
    for name in names:
        assert client.get_run(name).data.metrics["cost/parameters"] > 1000

    again = run_verb("compare", typed, "draws=200", "output=second", root=trained)
    assert again.code == 0
    assert json.loads((trained / "second" / "compare.json").read_text())["paired"] == paired


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_other_test_images_are_refused(trained: Path, tmp_path: Path) -> None:
    answer = run_verb("train", "model=lenet5", "data.split_seed=5", *SMALL, root=trained)
    assert answer.code == 0, answer.err
    answer = run_verb("compare", f"runs=[latest,{ids(trained)[0]}]", "paired=true", root=trained)
    assert answer.code == 2 and "split_seed" in answer.err, answer.err


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_two_detectors_on_the_same_images(tmp_path: Path) -> None:
    for seed in range(2):
        words = ("task=detection", "data.scale=light", *SCENES, "logger=none", f"seed={seed}")
        answer = run_verb("train", *words, *SMALL, root=tmp_path)
        assert answer.code == 0, answer.err
    answer = run_verb("compare", "task=detection", "paired=true", "draws=20", "output=page", root=tmp_path)
    assert answer.code == 2 and "single row" in answer.err
    words = (f"runs=[{','.join(ids(tmp_path, 'detection'))}]", "draws=20", "output=page")
    answer = run_verb("compare", *words, root=tmp_path)
    assert answer.code == 0, answer.err
    found = json.loads((tmp_path / "page" / "compare.json").read_text())["paired"]
    (measure,) = found["measures"]
    assert measure["name"] == "test/map" and found["images"] == 6 and found["discordant"] is None
    assert not (tmp_path / "mlflow.db").exists()  # logger=none
