"""What logging costs a training step: the digits' main job with one log for each step, to four places.

    python -m tests.benchmarks.logging_cost --rounds 12 --steps 66

ResNet-8 on the digits, batches as configured, by the pipeline's own parts and Lightning. The places take
turns, so that a busy machine is as busy for each of them: nothing, a CSV file, the local SQLite database, and
a server on loopback in a process of its own. For each place one JSON line:

- `step_ms`: time of a step on the clock, the median over rounds of each round's mean, and their deviation;
- `thread_ms`: processor time of the training thread in a step, which other processes hardly change;
- `process_ms`: processor time of the whole process in a step, with the thread that sends;
- `..._beside_nothing`: each of these against the same round with logging to nothing, in per cent: median over
  rounds and standard error;
- `logging_us`, `logging_thread_us`: what the logger's calls take of the training thread in one step, on the
  clock and in processor time;
- `share_percent`: `logging_us` in per cent of `step_ms` with logging to nothing.

Ends with 1 where `share_percent` of MLflow is one per cent or more.
"""

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import CSVLogger, Logger
from rich.progress import track

from pipeline import build
from pipeline.compose import compose_plain
from pipeline.console import error_console
from pipeline.environment import device_name
from pipeline.tracking import MlflowTracker
from pipeline.tracking_store import prepare_store, tracking_uri
from tests.mlflow_process import MlflowProcess

WARM_UP = 6
"""Steps of each round that are not counted."""


Moment = tuple[float, float, float]
"""Seconds on the clock, of this thread's processor time and of the whole process'."""


@dataclass
class Costs:
    """What was measured of one place.

    Attributes:
        means: Mean seconds of a step of each round, as a `Moment`.
        logging: Seconds that the logger's calls took on the clock, all rounds together.
        logging_thread: The same in processor time.
        steps: How many steps that were.
    """

    means: list[Moment] = field(default_factory=list)
    logging: float = 0.0
    logging_thread: float = 0.0
    steps: int = 0

    def of(self, measure: int) -> list[float]:
        """One of the three measures in each round."""
        return [mean[measure] for mean in self.means]


class Clock(Callback):
    """Notes when each step begins."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """A step begins where the one before ended."""
        self.moments.append((time.perf_counter(), time.thread_time(), time.process_time()))

    def mean(self) -> Moment:
        """Seconds of a step after the warm-up."""
        first, last = self.moments[WARM_UP], self.moments[-1]
        count = len(self.moments) - 1 - WARM_UP
        wall, thread, process = ((after - before) / count for before, after in zip(first, last, strict=True))
        return wall, thread, process


def timed(logger: Logger, costs: Costs) -> None:
    """Count what the calls of a logger take."""
    said = logger.log_metrics

    def log_metrics(metrics: Mapping[str, float], step: int | None = None) -> None:
        began = time.perf_counter(), time.thread_time()
        said(metrics, step)
        costs.logging += time.perf_counter() - began[0]
        costs.logging_thread += time.thread_time() - began[1]

    logger.log_metrics = log_metrics  # type: ignore[method-assign]


def measure(config: dict[str, Any], *, logger: Logger | None, steps: int, costs: Costs) -> None:
    """One round: so many steps, with a log for each."""
    torch.manual_seed(0)
    datamodule = build.datamodule(config)
    datamodule.setup("fit")
    task = build.task(build.filled_from_data(config, datamodule), datamodule.metadata)  # type: ignore[attr-defined]
    clock = Clock()
    if logger is not None:
        timed(logger, costs)
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps + WARM_UP,
        limit_val_batches=0,
        log_every_n_steps=1,
        logger=logger or False,
        callbacks=[clock],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, datamodule=datamodule)
    costs.means.append(clock.mean())
    costs.steps += steps + WARM_UP


def place(name: str, *, root: Path, server: str) -> Logger | None:
    """A logger, ready to be told."""
    if name == "nothing":
        return None
    folder = Path(tempfile.mkdtemp(dir=root))
    if name == "csv":
        return CSVLogger(str(folder), name="", version="")
    tracker = MlflowTracker(
        experiment="classification",
        run_name="cost",
        uri=server if name == "server" else tracking_uri(root),
        artifact_location=None if name == "server" else str(root / "mlartifacts"),
        tags={},
        run_id=None,
    )
    tracker.attach(folder)
    return tracker


def line(name: str, costs: Costs, *, baseline: Costs) -> dict[str, Any]:
    """What is printed of a place."""
    usual, told = statistics.median(baseline.of(0)), costs.logging / costs.steps
    row: dict[str, Any] = {"to": name, "steps": costs.steps}
    for measure, word in enumerate(("step", "thread", "process")):
        of_one = costs.of(measure)
        row[f"{word}_ms"] = [round(1e3 * value, 2) for value in (statistics.median(of_one), _spread(of_one))]
        row[f"{word}_beside_nothing"] = beside(of_one, baseline.of(measure))
    row["logging_us"] = round(1e6 * told, 1)
    row["logging_thread_us"] = round(1e6 * costs.logging_thread / costs.steps, 1)
    row["share_percent"] = round(100 * told / usual, 3)
    return row


def beside(costs: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """How much longer a step took than with logging to nothing, in per cent, and its standard error."""
    ratios = [100 * (cost / usual - 1) for cost, usual in zip(costs, baseline, strict=True)]
    return [round(statistics.median(ratios), 2), round(_spread(ratios) / len(ratios) ** 0.5, 2)]


def _spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=66)
    parser.add_argument("--places", default="nothing,csv,sqlite,server")
    given = parser.parse_args()
    config = compose_plain(verb="train", overrides=["task=classification"])
    costs = {name: Costs() for name in given.places.split(",")}
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        prepare_store(tracking_uri(root))
        server = MlflowProcess(root=root, store=tracking_uri(root))
        if "server" in costs:
            server.start()
            stack.callback(server.kill)
        # Forth and back, so that a machine that grows slower is so for each of them.
        turns = [name for number in range(given.rounds) for name in list(costs)[:: 1 if number % 2 else -1]]
        for name in track(turns, description="measuring", console=error_console):
            logger = place(name, root=root, server=server.uri)
            measure(config, logger=logger, steps=given.steps, costs=costs[name])
            if isinstance(logger, MlflowTracker):
                logger.finish("FINISHED")
    lines = [line(name, cost, baseline=costs["nothing"]) for name, cost in costs.items()]
    print(json.dumps({"device": device_name(), "threads": torch.get_num_threads(), "rounds": given.rounds}))
    print("\n".join(map(json.dumps, lines)))
    return int(any(row["share_percent"] >= 1 for row in lines if row["to"] in ("sqlite", "server")))


if __name__ == "__main__":
    sys.exit(main())
