"""Runs as training leaves them, but without any training, to be joined in tests."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning
import torch

from pipeline import build, record
from pipeline.compose import Composed, compose_plain, problems_of, settings_of
from pipeline.work import ensemble

WORDS = ("task=classification", "model=lenet5", "trainer=cpu", "logger=none", "callbacks.figures=null")


def plain_run(root: Path, number: int, *, config: dict[str, Any], model: str = "lenet5", **facts: Any) -> str:
    """A run without weights: enough for what is judged before torch is imported. Returns its id."""
    run_id = f"{number:08d}".ljust(32, "a")
    folder = root / "outputs" / config["choices"]["task"] / model / f"2026-01-01_{number:08d}"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "epoch_000.ckpt").write_bytes(b"")
    record.write_config(folder, config)
    kept = {"checkpoint": "checkpoints/epoch_000.ckpt", "status": "FINISHED"}
    known = {"run_id": run_id, "started": number, **kept, **facts}
    (folder / "run.json").write_text(json.dumps(known), encoding="utf-8")
    return run_id


def untrained_run(root: Path, number: int, *words: str) -> str:
    """A run that kept the first weights of its seed, which is its number. Returns its id."""
    overrides = [*(words or WORDS), f"seed={number}"]
    composed = compose_plain(verb="train", overrides=overrides)
    datamodule: Any = build.datamodule(composed)
    datamodule.prepare_data()
    datamodule.setup()
    config = build.filled_from_data(composed, datamodule)
    pytorch_lightning.seed_everything(number, verbose=False)
    task = build.task(config, datamodule.metadata)
    run_id = plain_run(root, number, config=config, model=config["choices"]["model"])
    (folder,) = root.glob(f"outputs/*/*/*{number:08d}")
    pipeline = {"run_id": run_id, "config": config, "metadata": dict(datamodule.metadata)}
    state = {"state_dict": task.state_dict(), "pipeline": pipeline}
    torch.save(state, folder / "checkpoints" / "epoch_000.ckpt")
    return run_id


def join(root: Path, runs: Sequence[str], *words: str) -> Path:
    """Join runs in this process; returns the folder of the ensemble."""
    overrides = [f"runs=[{','.join(runs)}]", "logger=none", "trainer.accelerator=cpu", *words]
    config = compose_plain(verb="ensemble", overrides=overrides)
    assert problems_of(verb="ensemble", config=config) == []
    settings = settings_of(verb="ensemble", config=config)
    composed = Composed(
        verb="ensemble", config=config, settings=settings, overrides=overrides, root=root, show_traceback=True
    )
    before = set(root.glob("outputs/*/ensemble/*"))
    assert ensemble.run(composed=composed, **settings) == 0
    (made,) = set(root.glob("outputs/*/ensemble/*")) - before
    return made
