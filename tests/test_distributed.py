"""Two processes are one run: one folder, one MLflow run, and measures that count every image once."""

import json
from pathlib import Path

import pytest

from tests.commands import run_verb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WORDS = ("model=lenet5", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp")


def test_two_processes_are_one_run_with_exact_measures(tmp_path: Path) -> None:
    answer = run_verb("train", *WORDS, "trainer.max_epochs=2", root=tmp_path)
    assert answer.code == 0, answer.err
    assert answer.out.count("finished after") == 1
    assert "2 devices" in answer.out
    (folder,) = tmp_path.glob("outputs/*/*/*")
    together = json.loads((folder / "metrics.json").read_text())
    # 359 test images: no number of processes but one divides them.
    alone = tmp_path / "alone.json"
    assert run_verb("evaluate", f"output={alone}", root=tmp_path).code == 0
    for key, value in json.loads(alone.read_text()).items():
        assert together[key] == pytest.approx(value, abs=1e-6), key
