"""The learning-rate range test: a short training on its own, of which only the figure and the table stay."""

import csv
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, Trainer
from rich.progress import Progress

from pipeline import build
from pipeline.callbacks.learning_rate_range import LearningRateRange, StepsDone
from pipeline.callbacks.step_seed import StepSeed
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.devices import ChannelsLast
from pipeline.figures_learning_rate import range_test
from pipeline.meeting import leads, leave_together
from pipeline.panels import shown_path
from pipeline.rates import Suggestion, suggest
from pipeline.work.preparing import Speed, prepared

# As many optimiser steps as are asked for, and nothing besides.
_ONLY_STEPS: dict[str, Any] = {
    "max_epochs": -1,
    "min_epochs": None,
    "min_steps": None,
    "max_time": None,
    "fast_dev_run": False,
    "limit_val_batches": 0,
    "num_sanity_val_steps": 0,
    "enable_progress_bar": False,
    "profiler": None,
}


def run(
    *,
    composed: Composed,
    seed: int,
    resume: str | None = None,
    channels_last: ChannelsLast = "auto",
    compile: bool = False,
    batch_size_finder: bool = False,
    lowest_lr: float = 1e-6,
    highest_lr: float = 1.0,
    num_steps: int = 100,
    smoothing: float = 0.9,
    output: str | None = None,
) -> int:
    """Train with a rate that rises until the loss diverges, and write what happened.

    Args:
        composed: The whole configuration; its schedule is left out.
        seed: Where everything random starts.
        resume: Not used here.
        channels_last: How the weights of convolutions lie in memory.
        compile: Whether torch.compile is used.
        batch_size_finder: Not used here.
        lowest_lr: Rate of the first step.
        highest_lr: Rate of the last step.
        num_steps: Optimiser steps.
        smoothing: Weight of the past in the mean of the losses.
        output: A folder; None: outputs/find_lr/.

    Returns:
        The exit code, 0.
    """
    console.quiet = not leads()
    constant = replace(composed, config={**composed.config, "scheduler": None})
    config, datamodule, task = prepared(constant, seed=seed)
    test = LearningRateRange(lowest=lowest_lr, highest=highest_lr, steps=num_steps, smoothing=smoothing)
    folder = _folder(output, composed=composed)
    with Progress(console=console, transient=True) as bar:
        row = bar.add_task("trying learning rates", total=num_steps)
        done = StepsDone(lambda steps: bar.update(row, completed=steps))
        callbacks: list[Callback] = [StepSeed(seed=seed), test, done]
        trainer = _trainer(config, num_steps=num_steps, folder=folder, callbacks=callbacks)
        Speed(channels_last=channels_last, compiles=compile).arrange(task, trainer=trainer)
        trainer.fit(task, datamodule=datamodule)
    if leads():
        _report(test, folder=folder, choices=config["choices"])
    leave_together()
    return 0


def _folder(output: str | None, *, composed: Composed) -> Path:
    choices = composed.config["choices"]
    name = f"{choices['task']}_{choices['model']}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
    return Path(output) if output else composed.root / "outputs" / "find_lr" / name


def _trainer(config: dict[str, Any], *, num_steps: int, folder: Path, callbacks: list[Callback]) -> Trainer:
    node = {**config["trainer"], **_ONLY_STEPS, "max_steps": num_steps}
    return build.trainer({**config, "trainer": node}, folder=folder, callbacks=callbacks, logger=None)


def _report(test: LearningRateRange, *, folder: Path, choices: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    suggestion = suggest(test.rates, test.smoothed)
    title = f"{choices['model']} on {choices['data']}, {choices['optimizer']}"
    figure = range_test(test.rates, test.losses, test.smoothed, suggestion=suggestion, title=title)
    figure.savefig(folder / "learning_rate.png", dpi=120)
    with (folder / "learning_rate.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["learning_rate", "loss", "smoothed"])
        table.writerows(zip(test.rates, test.losses, test.smoothed, strict=True))
    _tell(test, suggestion)
    console.print(f"figure    {shown_path(folder / 'learning_rate.png')}", soft_wrap=True)


def _tell(test: LearningRateRange, suggestion: Suggestion | None) -> None:
    reached = f"{test.rates[-1]:.2g}" if test.rates else "nothing"
    end = f"diverged at {reached}" if test.diverged else f"did not diverge up to {reached}"
    if suggestion is None:
        console.print(f"the loss fell nowhere and {end}; try other values of lowest_lr and highest_lr")
        return
    console.print(
        f"the loss falls fastest at {suggestion.steepest:.2g}, is lowest at {suggestion.lowest:.2g} and "
        f"{end}; with the same words, or more cautiously at a tenth of the lowest, {suggestion.tenth:.2g}:\n"
        f"$ make train optimizer.lr={suggestion.steepest:.2g}",
        soft_wrap=True,
    )
