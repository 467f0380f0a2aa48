"""Several processes measure one run, the same for all; what is one picture is not shared."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytorch_lightning.strategies import DDPStrategy

from datamodules import base
from pipeline import evaluate
from pipeline.compose import Composed
from pipeline.errors import Mistake
from pipeline.work import evaluate as work
from tests.datamodules.writers import build

ID = "0123456789abcdef" * 2


def trained(model: dict[str, Any]) -> Any:
    trainer = {"_target_": "pytorch_lightning.Trainer", "sync_batchnorm": True, "enable_progress_bar": False}
    config = {"callbacks": {}, "model": model, "trainer": {**trainer, "strategy": "fsdp", "devices": 8}}
    return SimpleNamespace(config=config)


def test_a_single_picture_is_not_shared(tmp_path: Path) -> None:
    with pytest.raises(
        Mistake, match="devices=2: there is one picture, which several processes cannot share"
    ):
        work._trainer(trained({"content_size": [8, 8]}), folder=tmp_path, accelerator="cpu", devices=2)


def test_how_it_was_trained_does_not_matter(tmp_path: Path) -> None:
    """Of a run on eight GPUs, one process or three on a CPU."""
    one = work._trainer(trained({}), folder=tmp_path, accelerator="cpu", devices=1)
    assert one.world_size == 1 and not isinstance(one.strategy, DDPStrategy)
    three = work._trainer(trained({}), folder=tmp_path, accelerator="cpu", devices=3)
    assert three.world_size == 3 and isinstance(three.strategy, DDPStrategy)


@pytest.mark.parametrize(
    ("settings", "run"),
    [({"devices": 2}, ID), ({"devices": 1}, "latest"), ({"devices": 2, "checkpoint": "a.ckpt"}, "latest")],
)
def test_latest_is_the_same_run_for_all(settings: dict[str, Any], run: str, tmp_path: Path) -> None:
    checkpoints = tmp_path / "outputs" / "classification" / "lenet5" / "now" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "last.ckpt").touch()
    (checkpoints.parent / "run.json").write_text(json.dumps({"run_id": ID, "started": 0.0}))
    composed = Composed(
        verb="evaluate",
        config={},
        settings={"run": "latest", "checkpoint": None, "task_name": None, **settings},
        overrides=[],
        root=tmp_path,
        show_traceback=False,
    )
    assert evaluate._of_one_run(composed).settings["run"] == run


def test_no_process_is_left_without_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    data = build("digits")
    data.setup()
    monkeypatch.setattr(base, "processes", lambda: (360, 0))
    with pytest.raises(ValueError, match="test has 359 items for 360 processes; start at most 359"):
        data.test_dataloader()
