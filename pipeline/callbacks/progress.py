"""How far the whole run is: a live bar on a terminal, one line for each epoch elsewhere."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.live import Live

from pipeline.console import console
from pipeline.panels import shown_time
from pipeline.progress_view import Pace, View, epoch_line, render

PAUSE = 0.1
"""Seconds between two drawings."""


class Progress(ProgressBar):
    """Shows epoch, batches, rate, time, time left, the last training loss and the watched measure.

    Drawing happens between batches and not in a thread: a loader's worker that is forked while a
    thread draws would inherit the console's lock in its closed state.

    Args:
        measures: Names to show besides the one that the task watches.
    """

    def __init__(self, *, measures: Sequence[str] = ("train/loss", "val/loss")) -> None:
        super().__init__()
        self._names = list(measures)
        self._view = View()
        self._live: Live | None = None
        self._drawn = 0.0
        self._enabled = True

    def disable(self) -> None:
        """Show nothing; Lightning's wish for every rank but zero."""
        self._enabled = False

    def enable(self) -> None:
        """Show again."""
        self._enabled = True

    def print(self, *args: Any, **_: Any) -> None:
        """Print above the bar."""
        console.print(*args)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count the whole run, from where a resumed one is."""
        batches = _whole(trainer.num_training_batches)
        begun = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        done = trainer.current_epoch * (batches or 0) + begun
        total = _all_batches(trainer, batches)
        self._view.run = Pace(total=total, done=done, before=done)
        self._view.epochs = math.ceil(total / batches) if total and batches else None
        self._start_epoch(trainer, done=begun)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count the epoch; Lightning leaves this out where a run is resumed inside one."""
        self._start_epoch(trainer, done=0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance."""
        run, epoch = self._view.run, self._view.epoch
        assert run is not None and epoch is not None
        epoch.done = batch_idx + 1
        run.done = trainer.current_epoch * (epoch.total or 0) + epoch.done
        self._view.rate = epoch.rate
        if self._is_due():  # the loss is only read now and then: on a GPU it makes the program wait
            self._view.numbers |= _loss(outputs)
            self._draw()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print one line on a console that keeps every line."""
        if self._view.epoch is not None and self._view.epoch.before == 0:
            self._view.whole_epoch = time.monotonic() - self._view.began
        self._read_measures(trainer, pl_module)
        if self._enabled and not console.is_terminal:
            console.print(epoch_line(self._view), soft_wrap=True, markup=False)
        self._draw()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away and say how long it took."""
        self._clear()
        run = self._view.run
        if self._enabled and console.is_terminal and run is not None:
            console.print(f"trained for {shown_time(run.seconds)}, {run.rate:.3g} batches/s with validation")
        self._view = View()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count a validation."""
        if not trainer.sanity_checking:
            self._start_stage("validation", trainer.num_val_batches)

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        """Advance."""
        self._advance_stage()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show its measures."""
        if not trainer.sanity_checking:
            self._read_measures(trainer, pl_module)
        self._end_stage()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count a test."""
        self._start_stage("test", trainer.num_test_batches)

    def on_test_batch_end(self, *_: Any, **__: Any) -> None:
        """Advance."""
        self._advance_stage()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away."""
        self._end_stage()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count a prediction."""
        self._start_stage("prediction", trainer.num_predict_batches)

    def on_predict_batch_end(self, *_: Any, **__: Any) -> None:
        """Advance."""
        self._advance_stage()

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away."""
        self._end_stage()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the terminal as it was, so that the message can be read."""
        self._clear()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """As above."""
        self._clear()

    def _start_epoch(self, trainer: Trainer, *, done: int) -> None:
        self._view.epoch = Pace(total=_whole(trainer.num_training_batches), done=done, before=done)
        self._view.number = trainer.current_epoch + 1
        self._view.began = time.monotonic()
        self._draw()

    def _start_stage(self, name: str, batches: Sequence[int | float]) -> None:
        self._view.stage, self._view.stage_pace = name, Pace(total=_whole(sum(batches)))

    def _advance_stage(self) -> None:
        if self._view.stage_pace is not None:
            self._view.stage_pace.done += 1
            if self._is_due():
                self._draw()

    def _end_stage(self) -> None:
        stage, epoch = self._view.stage_pace, self._view.epoch
        if stage is not None and epoch is not None:
            epoch.started += stage.seconds  # its rate is that of training alone
        self._view.stage_pace = None
        if self._view.run is None:
            self._clear()

    def _read_measures(self, trainer: Trainer, pl_module: LightningModule) -> None:
        watched = getattr(pl_module, "monitor", None)
        found = trainer.callback_metrics
        names = [name for name in (*self._names, watched) if name in found]
        self._view.numbers |= {name: float(found[name]) for name in dict.fromkeys(names)}
        self._view.numbers |= _best(trainer, self._view.numbers.get(watched or ""))

    def _is_due(self) -> bool:
        return time.monotonic() - self._drawn > PAUSE

    def _draw(self) -> None:
        if not self._enabled or not console.is_terminal:
            return
        self._drawn = time.monotonic()
        if self._live is None:
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(render(self._view), refresh=True)

    def _clear(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _whole(batches: int | float) -> int | None:
    """A number of batches; None where a stream has no end."""
    return None if math.isinf(batches) else int(batches)


def _all_batches(trainer: Trainer, batches: int | None) -> int | None:
    """Training batches of the whole run, as far as epochs or steps limit them."""
    limits = []
    if batches is not None and (trainer.max_epochs or 0) > 0:
        limits.append(int(trainer.max_epochs or 0) * batches)
    if trainer.max_steps > 0:
        limits.append(trainer.max_steps * trainer.accumulate_grad_batches)
    return min(limits, default=None)


def _best(trainer: Trainer, latest: float | None) -> dict[str, float]:
    """The best value so far; the checkpoint callback, which also knows of resumed epochs, sees it last."""
    keeper = trainer.checkpoint_callback
    before = getattr(keeper, "best_model_score", None)
    if latest is None or before is None:
        return {}
    better = max if getattr(keeper, "mode", "max") == "max" else min
    return {"best": better(latest, float(before))}


def _loss(outputs: Any) -> dict[str, float]:
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
    return {"train/loss": float(loss.detach())} if isinstance(loss, torch.Tensor) else {}
