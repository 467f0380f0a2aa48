"""A trained network packed for MLflow: what is in it, and that it answers without this project."""

import fcntl
import json
import logging
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
import pytest
import torch
import yaml

from pipeline.served import saving
from pipeline.served.answering import load
from pipeline.served.saving import pack, try_to_pack
from tests.pipeline.networks import RUN_ID, checkpoint_of, ensemble_of, text_of, write_pictures

# Says what a packed network answers, where the code that answered lay, and which packages it took.
ASKING = """
import json, sys
import mlflow.pyfunc, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
answer = model.predict(pandas.read_json(sys.argv[2], dtype=False)).to_dict("records")
import pipeline
from pipeline.served.requirements import loaded_requirements
print(json.dumps({"answer": answer, "code": pipeline.__file__, "packages": loaded_requirements()}))
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_of("lenet5", tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def packed(checkpoint: Path) -> Path:
    folder = checkpoint.parent / "model"
    assert pack(checkpoint, folder)
    return folder


def test_it_holds_what_answering_needs_and_no_more(packed: Path, checkpoint: Path) -> None:
    described = yaml.safe_load((packed / "MLmodel").read_text())
    assert described["metadata"] == {
        "run_id": RUN_ID,
        "task": "classification",
        "model": "lenet5",
        "data": "digits",
    }
    assert "image" in described["signature"]["inputs"] and "scores" in described["signature"]["outputs"]
    (kept,) = packed.rglob("*.ckpt")
    content = torch.load(kept, weights_only=True)
    before = torch.load(checkpoint, weights_only=True)
    assert "optimizer_states" in before and "optimizer_states" not in content
    assert content["state_dict"].keys() == before["state_dict"].keys()
    assert all((content["state_dict"][name] == value).all() for name, value in before["state_dict"].items())
    assert json.loads((packed / "serving_input_example.json").read_text())["dataframe_split"]["data"]
    assert sum(path.stat().st_size for path in packed.rglob("*")) < 2e6
    assert len([path for path in packed.rglob("*") if path.is_file()]) < 12, "each costs a server a request"


def test_versions_are_those_of_this_process_and_nothing_says_where_it_ran(packed: Path) -> None:
    lines = (packed / "requirements.txt").read_text().splitlines()
    found = dict(line.split("==") for line in lines)
    for name in ("torch", "mlflow", "hydra-core", "albumentations", "pytorch-lightning", "PyYAML", "pillow"):
        assert found[name] == version(name).partition("+")[0]
    assert not {"ruff", "pytest", "mypy"} & found.keys()
    for path in packed.rglob("*"):
        if path.suffix in (".yaml", ".txt", ".json", "") and path.is_file():
            assert "/work" not in path.read_text() and os.uname().nodename not in path.read_text()


def test_mlflow_loads_and_asks_it(packed: Path, checkpoint: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"image": [text_of(path) for path in write_pictures(tmp_path / "pictures")]})
    model = mlflow.pyfunc.load_model(str(packed))
    pd.testing.assert_frame_equal(model.predict(table), load(checkpoint, accelerator="cpu").predict(table))
    assert len(model.predict(model.input_example)) == 1
    with pytest.raises(mlflow.MlflowException, match="image"):
        model.predict(pd.DataFrame({"picture": ["a"]}))


def test_an_ensemble_is_packed_with_all_its_members(checkpoint: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"image": [text_of(path) for path in write_pictures(tmp_path / "pictures")]})
    other = checkpoint_of("lenet5", tmp_path, seed=1)
    assert pack(ensemble_of(checkpoint, other, tmp_path), tmp_path / "model")
    together = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(table)
    one, two = (load(path, accelerator="cpu").predict(table) for path in (checkpoint, other))
    assert not (one["score"] == two["score"]).any()
    for scores, first, second in zip(together["scores"], one["scores"], two["scores"], strict=True):
        assert scores == {name: pytest.approx((first[name] + second[name]) / 2, abs=1e-6) for name in first}


def test_one_picture_is_no_network(tmp_path: Path) -> None:
    assert not pack(checkpoint_of("gatys", tmp_path), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_network_that_cannot_be_packed_costs_a_warning(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        assert (tmp_path / "model" / "data").exists()
        raise OSError("No space left on device")

    monkeypatch.setattr(saving, "_describe", full)
    with caplog.at_level(logging.WARNING):
        assert not try_to_pack(checkpoint, tmp_path / "model")
    assert "No space left on device" in caplog.text
    assert not (tmp_path / "model").exists(), "half a network is not sent"


@pytest.mark.slow
def test_it_answers_where_this_project_is_not(packed: Path, checkpoint: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"image": [text_of(path) for path in write_pictures(tmp_path / "pictures")]})
    table.to_json(tmp_path / "table.json")
    for name in ("dead", "alive"):  # of servers before it
        (tmp_path / f"vision_pipeline_{name}").mkdir()
        (tmp_path / f"vision_pipeline_{name}" / ".lock").touch()
    alive = (tmp_path / "vision_pipeline_alive" / ".lock").open()
    fcntl.flock(alive, fcntl.LOCK_EX)
    done = subprocess.run(
        [sys.executable, "-P", "-c", ASKING, str(packed), str(tmp_path / "table.json")],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["answer"] == load(checkpoint, accelerator="cpu").predict(table).to_dict("records")
    assert Path(told["code"]).is_relative_to(tmp_path), "the code that travels with it has answered"
    left = [path.name for path in tmp_path.glob("vision_pipeline_*")]
    assert left == ["vision_pipeline_alive"], "and is gone with the process, as is what was left behind"
    alive.close()
    named = set((packed / "requirements.txt").read_text().split())
    assert set(told["packages"]) <= named, "nothing was left out that answering takes"
    assert "torch" in {line.partition("==")[0] for line in told["packages"]}
