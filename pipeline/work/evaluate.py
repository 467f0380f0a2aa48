"""Measures a trained network on one split of its data."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning import Trainer

from pipeline import meeting
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.features import several_processes
from pipeline.work.loading import Trained, check_classes, data_of, load_trained, use_tta, use_window
from pipeline.work.measuring import measuring_trainer, settings_here
from pipeline.work.report import show_measures

_FOLDER = "evaluation"


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
    tta: str = "none",
    accelerator: str = "auto",
    devices: int = 1,
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
        tta: See `use_tta`.
        accelerator: Lightning's name of the device.
        devices: Processes that share the split, each with a device; no image is measured twice.
        output: JSON file for the measures; None: the run's evaluations/ folder.

    Returns:
        The exit code, 0.
    """
    console.quiet = not meeting.leads()
    trained = load_trained(root=composed.root, run=run, checkpoint=checkpoint, task=task_name)
    use_window(trained, window=window, window_overlap=window_overlap)
    trained = use_tta(trained, tta)
    with console.status("reading the data"):
        datamodule: Any = data_of(trained, batch_size=batch_size, num_workers=num_workers, data_dir=data_dir)
        datamodule.prepare_data()
        datamodule.setup()
    check_classes(trained, datamodule)
    folder = _folder(trained, split=split)
    trainer = _trainer(trained, folder=folder, accelerator=accelerator, devices=devices)
    measures = _measure(trainer, trained, datamodule, split)
    if meeting.leads():
        path = Path(output) if output else folder / "metrics.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(measures, indent=1, sort_keys=True), encoding="utf-8")
        show_measures(trained, split=split, measures=measures, path=path)
    meeting.leave_together()
    return 0


def _folder(trained: Trained, *, split: str) -> Path:
    """Where the results go; the first process makes it, and tells the others."""
    if not meeting.leads():
        return Path(meeting.learn(_FOLDER)["folder"])
    folder = trained.folder / "evaluations" / f"{split}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
    folder.mkdir(parents=True, exist_ok=True)
    meeting.tell(_FOLDER, {"folder": str(folder)})
    return folder


def _trainer(trained: Trained, *, folder: Path, accelerator: str, devices: int) -> Trainer:
    settings = settings_here(trained.config, accelerator=accelerator, devices=devices)
    problems = list(several_processes({**trained.config, "trainer": settings}))
    if problems:
        raise Mistake(f"devices={devices}: {problems[0].message.partition(';')[0]}; leave it out")
    return measuring_trainer(
        trained.config, folder=folder, settings=settings, watching=("progress", "figures")
    )


def _measure(trainer: Trainer, trained: Trained, datamodule: Any, split: str) -> dict[str, float]:
    """Measures under the split's own name, whichever loop of Lightning computes them."""
    datamodule.measured_split = split
    results = trainer.test(trained.task, datamodule=datamodule, verbose=False)
    return {f"{split}/{key.partition('/')[2]}": float(value) for key, value in results[0].items()}
