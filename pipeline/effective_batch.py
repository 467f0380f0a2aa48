"""What several processes and accumulation make of the batch, and what that asks of the learning rate."""

from collections.abc import Iterator, Mapping
from functools import partial
from math import sqrt
from typing import Any

from pipeline.problems import Problem, way_out

KEY = "scale_lr"
"""The key of `optimizer` that says how its rate follows the batch; no argument of the optimiser."""

RULES = ("none", "linear", "sqrt")


def without_rule(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """The node of an optimiser with the optimiser's own arguments only."""
    return {key: value for key, value in optimizer.items() if key != KEY}


def rule_of(config: Mapping[str, Any]) -> str:
    """How the rate follows the batch; runs from before there was a choice have none."""
    return str((config.get("optimizer") or {}).get(KEY) or RULES[0])


def factor(rule: str, *, processes: int, accumulated: int) -> float:
    """By what the recipe's learning rate is multiplied; the recipe is one process with `data.batch_size`.

    Linear: section 2.1 of https://arxiv.org/abs/1706.02677; root: section 5 of https://arxiv.org/abs/1404.5997.

    Args:
        rule: One of `RULES`.
        processes: Over all machines.
        accumulated: Batches that share one update.
    """
    times = processes * accumulated
    return {"none": 1.0, "linear": float(times), "sqrt": sqrt(times)}[rule]


def scale_rate(task: Any, *, config: Mapping[str, Any], processes: int, accumulated: int) -> float:
    """Let a task learn at the rate that its effective batch asks for.

    Args:
        task: Its `optimizer_factory` is replaced where the rate changes.
        config: The resolved configuration.
        processes: Over all machines.
        accumulated: Batches that share one update.

    Returns:
        The rate at which the body learns.
    """
    times = factor(rule_of(config), processes=processes, accumulated=accumulated)
    rate: float = config["optimizer"]["lr"] * times
    if times != 1:
        task.optimizer_factory = partial(task.optimizer_factory, lr=rate)
    return rate


def wrong_rule(config: Mapping[str, Any]) -> Iterator[Problem]:
    """A rule that there is not.

    Args:
        config: The resolved configuration.

    Yields:
        At most one problem.
    """
    optimizer = config.get("optimizer")
    if isinstance(optimizer, Mapping) and optimizer.get(KEY, RULES[0]) not in RULES:
        end, right = way_out(str(optimizer[KEY]), RULES, otherwise="it is one of")
        message = f"says how the rate follows processes and accumulation; {end}"
        yield Problem(f"optimizer.{KEY}", optimizer[KEY], message, right)


def wrong_on_a_cpu(config: Mapping[str, Any]) -> Iterator[Problem]:
    """What torch does on GPUs only.

    Args:
        config: The resolved configuration.

    Yields:
        A problem for batch norm, and one for sharding.
    """
    trainer = config.get("trainer")
    if not isinstance(trainer, Mapping) or trainer.get("accelerator") != "cpu":
        return
    if trainer.get("sync_batchnorm") is True:
        yield Problem("trainer.sync_batchnorm", True, NEEDS_GPUS)
    if str(trainer.get("strategy")).startswith("fsdp"):
        message = "shards the weights over GPUs; on CPUs choose trainer.strategy=ddp"
        yield Problem("trainer.strategy", trainer["strategy"], message)


NEEDS_GPUS = (
    "exchanges statistics between GPUs only; leave it out: on CPUs running statistics are averaged over the "
    "processes before each validation"
)
"""Why batch norm cannot be synchronised here."""
