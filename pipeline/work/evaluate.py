"""Measures a trained network on one split of its data."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning import Trainer

from pipeline import build
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.work.loading import Trained, check_classes, data_of, load_trained, use_window
from pipeline.work.report import show_measures

# What belonged to the training and its machines, and would be wrong for a measurement on this one.
_HERE: dict[str, Any] = {
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
    "fast_dev_run": False,
    "overfit_batches": 0.0,
    "limit_test_batches": None,
    "plugins": None,
    "profiler": None,
}


def run(
    *,
    composed: Composed,
    run: str = "latest",
    checkpoint: str | None = None,
    task_name: str | None = None,
    split: Literal["train", "val", "test"] = "test",
    batch_size: int | None = None,
    num_workers: int | None = None,
    data_dir: str | None = None,
    window: int | None = None,
    window_overlap: float | None = None,
    accelerator: str = "auto",
    output: str | None = None,
) -> int:
    """Evaluate a run's kept weights, or a checkpoint file.

    Args:
        composed: The whole configuration.
        run: `latest`, a run id, or the beginning of one.
        checkpoint: A checkpoint file instead of a run.
        task_name: The latest run of this task; typed as `task=`.
        split: Split to measure on, without augmentation.
        batch_size: As trained where None.
        num_workers: As trained where None.
        data_dir: Where the data lies now, if it has moved.
        window: See `use_window`.
        window_overlap: See `use_window`.
        accelerator: Lightning's name of the device.
        output: JSON file for the measures; None: the run's evaluations/ folder.

    Returns:
        The exit code, 0.
    """
    trained = load_trained(root=composed.root, run=run, checkpoint=checkpoint, task=task_name)
    use_window(trained, window=window, window_overlap=window_overlap)
    with console.status("reading the data"):
        datamodule: Any = data_of(trained, batch_size=batch_size, num_workers=num_workers, data_dir=data_dir)
        datamodule.prepare_data()
        datamodule.setup()
    check_classes(trained, datamodule)
    folder = trained.folder / "evaluations" / f"{split}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
    folder.mkdir(parents=True, exist_ok=True)
    measures = _measure(_trainer(trained, folder=folder, accelerator=accelerator), trained, datamodule, split)
    path = Path(output) if output else folder / "metrics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(measures, indent=1, sort_keys=True), encoding="utf-8")
    show_measures(trained, split=split, measures=measures, path=path)
    return 0


def _trainer(trained: Trained, *, folder: Path, accelerator: str) -> Trainer:
    watching = {name: trained.config["callbacks"].get(name) for name in ("progress", "figures")}
    trainer = {**trained.config["trainer"], **_HERE, "accelerator": accelerator}
    config = {"callbacks": watching, "trainer": trainer}
    return build.trainer(config, folder=folder, callbacks=build.callbacks(config, folder=folder), logger=None)


def _measure(trainer: Trainer, trained: Trained, datamodule: Any, split: str) -> dict[str, float]:
    """Measures under the split's own name, whichever loop of Lightning computes them."""
    datamodule.measured_split = split
    results = trainer.test(trained.task, datamodule=datamodule, verbose=False)
    return {f"{split}/{key.partition('/')[2]}": float(value) for key, value in results[0].items()}
