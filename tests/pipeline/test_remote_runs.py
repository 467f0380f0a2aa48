"""A run that was trained on one machine is evaluated on another that knows the same MLflow server."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.compose import PROJECT
from tests.commands import environment, run_verb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_run_of_another_machine_is_fetched(tmp_path: Path) -> None:
    words = ("model=lenet5", "trainer.max_epochs=1", "trainer.accelerator=cpu")
    assert run_verb("train", *words, root=tmp_path).code == 0
    (folder,) = tmp_path.glob("outputs/*/*/*")
    run_id = json.loads((folder / "run.json").read_text())["run_id"]
    measures = json.loads((folder / "metrics.json").read_text())
    # The other machine has the database and nothing else.
    shutil.rmtree(tmp_path / "outputs")
    answer = run_verb("evaluate", f"run={run_id}", f"output={tmp_path / 'again.json'}", root=tmp_path)
    assert answer.code == 0, answer.err
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["test/top1"] == pytest.approx(measures["test/top1"], abs=1e-6)
    unknown = run_verb("evaluate", f"run={'0' * 32}", root=tmp_path)
    assert unknown.code == 2
    assert "no run has this id" in unknown.err


def test_a_registered_model_is_a_run_for_every_verb(tmp_path: Path) -> None:
    words = (
        "model=lenet5",
        "trainer.max_epochs=1",
        "trainer.limit_train_batches=2",
        "trainer.accelerator=cpu",
    )
    for seed in (0, 1):
        assert run_verb("train", *words, f"seed={seed}", root=tmp_path).code == 0
    folders = sorted(tmp_path.glob("outputs/*/*/*"), key=lambda folder: folder.stat().st_mtime)
    ids = [json.loads((folder / "run.json").read_text())["run_id"] for folder in folders]
    measures = json.loads((folders[0] / "metrics.json").read_text())
    words = ("description=the first, by hand", "tags=[stage=trial]")
    answer = run_verb("register", f"run={ids[0]}", "name=digits", "alias=champion", *words, root=tmp_path)
    assert answer.code == 0, answer.err
    assert "make evaluate run=models:/digits@champion" in answer.out
    assert run_verb("register", "name=digits", root=tmp_path).code == 0  # the latest: version 2

    # As a person types them, without quotes, through make.
    shared = {**environment(tmp_path), "MAKEFLAGS": ""}
    typed = (
        "predict",
        "run=models:/digits@champion",
        f"input={folders[0]}/figures",
        f"output={tmp_path}/a.csv",
    )
    done = subprocess.run(
        ["make", *typed], cwd=PROJECT, env=shared, capture_output=True, text=True, check=False, timeout=300
    )
    assert f"with run {ids[0][:8]}" in done.stdout, done.stderr

    shutil.rmtree(tmp_path / "outputs")  # the other machine
    output = tmp_path / "again.json"
    answer = run_verb("evaluate", "run=models:/digits@champion", f"output={output}", root=tmp_path)
    assert answer.code == 0, answer.err
    assert json.loads(output.read_text())["test/top1"] == pytest.approx(measures["test/top1"], abs=1e-6)
    answer = run_verb("ensemble", "runs=[models:/digits@champion,models:/digits/latest]", root=tmp_path)
    assert answer.code == 0, answer.err
