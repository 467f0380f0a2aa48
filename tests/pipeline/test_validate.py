"""Every mistake is found, all at once, and each is answered with the way out."""

import copy
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline import validate
from pipeline.ranges import RANGES, explain
from pipeline.validate import Problem, find_problems, nearest, refusal, report

TRANSFORMS = {
    "train": {
        "flip": {"_target_": "albumentations.HorizontalFlip", "p": 0.5},
        "affine": {"_target_": "albumentations.Affine", "rotate": [-10, 10], "scale": [0.9, 1.1], "p": 0.3},
        "one": {"_target_": "albumentations.OneOf", "transforms": [{"_target_": "albumentations.Blur", "p": 1}]},
        "off": None,
    },
    "eval": {"resize": {"_target_": "albumentations.Resize", "height": 32, "width": 32}},
}
GOOD: dict[str, Any] = {
    "seed": 0,
    "resume": None,
    "choices": {"task": "drawing", "model": "pencil", "data": "sketches"},
    "task": {"_target_": "lightning_modules.drawing.DrawingTask", "monitor": "val/top1", "mode": "max"},
    "model": {"_target_": "lightning_modules.models.drawing.pencil.pencil", "num_classes": None, "lines": 3},
    "data": {"_target_": "datamodules.drawing.Sketches", "transforms": TRANSFORMS, "seed": 0, "batch_size": 8},
    "transforms": TRANSFORMS,
    "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1, "momentum": 0.9, "nesterov": True},
    "scheduler": None,
    "trainer": {"_target_": "pytorch_lightning.Trainer", "max_epochs": 3, "precision": "bf16-mixed", "devices": "auto"},
    "callbacks": {
        "checkpoint": {
            "_target_": "pytorch_lightning.callbacks.ModelCheckpoint",
            "monitor": "val/top1",
            "mode": "max",
            "save_top_k": 3,
        },
        "early_stopping": None,
    },
    "logger": {},
}
OURS = {
    "lightning_modules/drawing.py": "class DrawingTask:\n"
    "    def __init__(self, *, model, optimizer, scheduler, metadata, monitor: str, mode: str): ...\n",
    "lightning_modules/models/drawing/pencil.py": "def pencil(*, num_classes: int, lines: int, dropout=0.0): ...\n",
    "lightning_modules/models/tracing/brush.py": "def brush(*, num_classes: int): ...\n",
    "datamodules/drawing.py": "class Sketches:\n"
    "    def __init__(self, *, transforms, seed: int, batch_size: int, num_folds: int | None = None, fold: int = 0): ...\n",
    "conf/model/pencil.yaml": "# .\n_target_: lightning_modules.models.drawing.pencil.pencil\n",
    "conf/model/crayon.yaml": "# .\ndefaults:\n  - pencil\nlines: 4\n",
    "conf/model/brush.yaml": "# .\n_target_: lightning_modules.models.tracing.brush.brush\n",
    "conf/task/drawing.yaml": "",
    "conf/task/tracing.yaml": "",
}
FAKES = """
import sys
from pathlib import Path
import test_validate_fakes
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the two folders of ours another task, found beside the real files, which stay as they are."""
    for name, text in OURS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(validate, "CONF", tmp_path / "conf")
    validate.names_for_task.cache_clear()
    validate._tasks.cache_clear()
    real = validate.check_node.__globals__["find_signature"]
    monkeypatch.setitem(validate.check_node.__globals__, "find_signature", _reader_of(tmp_path, real))


def problems(changes: dict[str, Any]) -> list[Problem]:
    """What is found after some values of the good configuration were changed; a value of ... removes."""
    config = copy.deepcopy(GOOD)
    for key, value in changes.items():
        *parents, last = key.split(".")
        node: Any = config
        for parent in parents:
            node = node[int(parent)] if isinstance(node, list) else node[parent]
        if value is ...:
            del node[last]
        else:
            node[last] = value
    config["data"]["transforms"] = config["transforms"]  # as the interpolation gives it
    return find_problems(config, top_level=GOOD)
