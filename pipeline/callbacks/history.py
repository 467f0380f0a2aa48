"""One row of numbers for each epoch, in a file that needs no server to be read."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from pipeline.history_file import HISTORY_FILE, read_history


class History(Callback):
    """Writes `history.jsonl` into the run's folder: epoch, step, seconds, learning rate, every measure.

    Epochs count from 0, as in MLflow. A resumed run drops the rows of the epochs it does again.
    """

    def __init__(self) -> None:
        self._started = 0.0
        self._earlier = 0.0
        self._validated = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the rows of finished epochs only; a resumed epoch begins here."""
        self._started = time.monotonic()
        if trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / HISTORY_FILE
            _write(path, [row for row in read_history(path) if row["epoch"] < trainer.current_epoch])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember that this epoch has measures of its own."""
        self._validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the row of this epoch."""
        if trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / HISTORY_FILE
            _write(path, [*read_history(path), self._row(trainer)])
        self._started, self._earlier, self._validated = time.monotonic(), 0.0, False

    def state_dict(self) -> dict[str, Any]:
        """Seconds that the epoch has taken so far, for one that is resumed in its middle."""
        return {"seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the clock."""
        self._earlier = float(state_dict["seconds"])

    def _seconds(self) -> float:
        return self._earlier + (time.monotonic() - self._started if self._started else 0.0)

    def _row(self, trainer: Trainer) -> dict[str, Any]:
        rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]
        row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "seconds": round(self._seconds(), 3),
            "lr": max((float(rate) for rate in rates), default=None),
        }
        return {**row, **self._measures(trainer)}

    def _measures(self, trainer: Trainer) -> dict[str, float]:
        """Those of this epoch: Lightning keeps the last ones where there was no validation."""
        return {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if not name.endswith("_step") and (self._validated or not name.startswith("val/"))
        }


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Whole or not at all: a killed run leaves no half row."""
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    os.replace(partial, path)
