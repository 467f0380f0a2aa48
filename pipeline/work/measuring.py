"""A Trainer that measures trained networks here, however and wherever they were trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger

from pipeline import build
from pipeline.errors import Mistake
from pipeline.work.loading import Trained

# What belonged to the training and its machines, and would be wrong for a measurement on this one.
_HERE: dict[str, Any] = {
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
    "sync_batchnorm": False,
    "fast_dev_run": False,
    "overfit_batches": 0.0,
    "limit_val_batches": None,
    "limit_test_batches": None,
    "plugins": None,
    "profiler": None,
}


def settings_here(config: build.Config, *, accelerator: str, devices: int = 1) -> dict[str, Any]:
    """A run's settings of the trainer, as they are for measuring whole splits on this machine.

    Args:
        config: The run's configuration.
        accelerator: Lightning's name of the device.
        devices: Processes that share the work.
    """
    shared = {} if devices == 1 else {"devices": devices, "strategy": "ddp"}
    return {**config["trainer"], **_HERE, "accelerator": accelerator, **shared}


def measuring_trainer(
    config: build.Config,
    *,
    folder: Path,
    settings: dict[str, Any],
    watching: Sequence[str],
    logger: Logger | None = None,
) -> Trainer:
    """The trainer, with those of the run's callbacks that only watch.

    Args:
        config: The run's configuration.
        folder: Where figures go.
        settings: From `settings_here`.
        watching: Names of callbacks in the configuration, such as `progress`; those it lacks are left out.
        logger: Where measures are logged.
    """
    parts = {"trainer": settings, "callbacks": {name: config["callbacks"].get(name) for name in watching}}
    callbacks = build.callbacks(parts, folder=folder)
    return build.trainer(parts, folder=folder, callbacks=callbacks, logger=logger)


def plain(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The measures that Lightning returns, those of several loaders in one.

    Args:
        results: Of `trainer.validate` or `trainer.test`.
    """
    return {key: float(value) for result in results for key, value in result.items()}


def check_monitor(trained: Trained, *, unknown: str) -> None:
    """Refuse a run that was judged by what validation does not measure.

    Args:
        trained: The run's network.
        unknown: What cannot be said then, and the way out.

    Raises:
        Mistake: Its `task.monitor` is such a measure.
    """
    monitor = trained.config["task"]["monitor"]
    if not monitor.startswith("val/"):
        raise Mistake(
            f"run {trained.run_id[:8]} was judged by task.monitor={monitor}, which validation does not "
            f"measure: nothing says {unknown} such as val/loss"
        )
