"""What can be said of averaged weights before anything heavy is imported."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import Mistake
from pipeline.joining import check_alike, refuse_ensemble
from pipeline.kept_files import kept_best, kept_recent
from pipeline.problems import Problem
from pipeline.runs import Run

Which = Literal["best_k", "last_k", "ema", "soup"]
"""What is averaged: the best or the last epochs of a run, these with falling weights, or several runs."""

KEY = "weight_average"
"""Where a checkpoint whose weights are an average holds what training goes on from."""

_OURS = {
    "pipeline.callbacks.exponential_average.ExponentialAverage": "ema",
    "pipeline.callbacks.epoch_average.EpochAverage": "swa",
}
# Lightning's, with which a run can silently lose what it has learnt; see docs/averaging.md.
_OTHERS = {"EMAWeightAveraging": "ema", "WeightAveraging": "ema", "StochasticWeightAveraging": "swa"}


def first_epoch(start: int | float, *, max_epochs: int | None) -> int:
    """The epoch from which on weights are averaged, counted from 0.

    Args:
        start: A number of epochs, or as a fraction in [0, 1) a share of `max_epochs`.
        max_epochs: Length of the training, where `start` is a share.
    """
    return start if isinstance(start, int) else math.floor(start * (max_epochs or 0))


def wrong_averages(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Averages that could not be what a person wants: never begun, not saved, in parts, or two at once."""
    callbacks = config.get("callbacks")
    if not isinstance(callbacks, Mapping):
        return
    nodes = {f"callbacks.{name}": node for name, node in callbacks.items() if isinstance(node, Mapping)}
    ours = {key: node for key, node in nodes.items() if node.get("_target_") in _OURS}
    yield from _foreign(nodes)
    for key, node in ours.items():
        yield from _decay(key, node)
        yield from _start(key, node, max_epochs=(config.get("trainer") or {}).get("max_epochs"))
    if len(ours) > 1:
        first, second = list(ours)[:2]
        yield Problem(
            second, "", f"averages the weights, as {first} does; a run has one average, so set {second}=null"
        )
    if ours:
        yield from _weights_only(nodes)
        yield from _sharded(next(iter(ours)), config.get("trainer") or {})


def _foreign(nodes: Mapping[str, Any]) -> Iterator[Problem]:
    for key, node in nodes.items():
        target = str(node.get("_target_"))
        right = _OTHERS.get(target.rpartition(".")[2])
        if right and target.startswith("pytorch_lightning."):
            message = "keeps no average until it begins, and resumes inexactly; choose the own one instead"
            yield Problem(f"{key}._target_", target, f"{message}: callbacks={right}", right)


def _decay(key: str, node: Mapping[str, Any]) -> Iterator[Problem]:
    decay = node.get("decay")
    if isinstance(decay, int | float) and not 0 <= decay < 1:
        yield Problem(
            f"{key}.decay", decay, "must be in [0, 1), because at 1 the first weights stay for ever"
        )


def _start(key: str, node: Mapping[str, Any], *, max_epochs: Any) -> Iterator[Problem]:
    start = node.get("start")
    if isinstance(start, bool) or not isinstance(start, int | float):
        return
    ends = isinstance(max_epochs, int) and max_epochs > 0
    if start < 0 or (isinstance(start, float) and start >= 1):
        message = "is a number of epochs, such as 3, or a share of them in [0, 1), such as 0.5"
        yield Problem(f"{key}.start", start, message)
    elif isinstance(start, float) and start and not ends:
        message = f"is a share of trainer.max_epochs={max_epochs}; give a number of epochs, or set that"
        yield Problem(f"{key}.start", start, message)
    elif isinstance(start, int) and ends and start >= max_epochs:
        message = f"would never begin, because trainer.max_epochs={max_epochs}; epochs are counted from 0"
        yield Problem(f"{key}.start", start, message)


def _weights_only(nodes: Mapping[str, Any]) -> Iterator[Problem]:
    for key, node in nodes.items():
        if node.get("save_weights_only"):
            message = "leaves out the average, and what a network is built from; set it to false"
            yield Problem(f"{key}.save_weights_only", True, message)


def _sharded(key: str, trainer: Mapping[str, Any]) -> Iterator[Problem]:
    strategy = str(trainer.get("strategy"))
    if strategy.startswith("fsdp"):
        message = f"shards the weights, which {key} averages whole; choose ddp, or set {key}=null"
        yield Problem("trainer.strategy", strategy, message, "ddp")


def check_resumable(run: Run, config: Mapping[str, Any]) -> None:
    """Refuse to go on with a run in another way than it averaged its weights.

    Args:
        run: As it was left.
        config: The configuration it would go on with.

    Raises:
        Mistake: It is an average itself, which nothing is trained of, or its average would be left out:
            training would go on from the average instead of from the weights.
    """
    if "average" in run.facts:
        raise Mistake(
            f"resume={run.run_id[:8]} is an average of {' '.join(run.facts['average']['parents'])} and was "
            "not trained; resume one of these"
        )
    left = set(_averages(config).values())
    for key, target in _averages(run.config).items():
        if target not in left:
            raise Mistake(
                f"{key}=null: the run averages its weights ({_OURS[target]}), and its checkpoints hold the "
                "average; leave it out, or leave out resume= to start a new run"
            )


def _averages(config: Mapping[str, Any]) -> dict[str, str]:
    """Keys and targets of callbacks that average."""
    callbacks = config.get("callbacks") or {}
    targets = {f"callbacks.{name}": str((node or {}).get("_target_")) for name, node in callbacks.items()}
    return {key: target for key, target in targets.items() if target in _OURS}


def epochs_of(run: Run, *, which: Which) -> list[Path]:
    """Checkpoints of single epochs that a run kept, the oldest first.

    Args:
        run: A run on disk.
        which: `best_k` for its best epochs, else its last ones.
    """
    kept = kept_best if which == "best_k" else kept_recent
    return kept(run.folder / "checkpoints")


def check_parents(runs: Sequence[Run]) -> None:
    """Refuse runs that no mean can be measured of.

    Args:
        runs: Those that are on this machine.

    Raises:
        Mistake: One is an ensemble, or they are shown other pictures.
    """
    for run in runs:
        refuse_ensemble(run, verb="average")
    check_alike({run.run_id[:8]: run.config for run in runs})


def check_epochs(run: Run, *, which: Which) -> list[Path]:
    """The same, of a run that kept enough of them.

    Raises:
        Mistake: There are fewer than two, or the run is an average itself.
    """
    if "average" in run.facts:
        raise Mistake(
            f"run={run.run_id[:8]} is an average itself, of {' '.join(run.facts['average']['parents'])}; "
            "average that run, or give both to which=soup"
        )
    found = epochs_of(run, which=which)
    if len(found) < 2:
        key = "callbacks.checkpoint.save_top_k" if which == "best_k" else "callbacks.keep_last.keep_epochs"
        raise Mistake(
            f"which={which}: run={run.run_id[:8]} kept {len(found)} such checkpoints, and an average needs "
            f"two; train with {key}=5"
        )
    return found
