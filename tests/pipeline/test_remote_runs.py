"""A run that was trained on one machine is evaluated on another that knows the same MLflow server."""

import json
import shutil
from pathlib import Path

import pytest

from tests.commands import run_verb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


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
