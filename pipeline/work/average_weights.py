"""The mean of several states of one network."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule
from torch import Tensor, nn

from pipeline import checkpoints
from pipeline.callbacks.weight_average_statistics import running_statistics
from pipeline.errors import Mistake
from pipeline.tracking_values import flatten

State = Mapping[str, Tensor]

# Of a model's configuration what does not change what its weights mean.
_FREE = ("pretrained", "freeze", "load_weights", "weights", "drop_rate", "dropout", "drop_path_rate")


def averaged_names(task: LightningModule) -> set[str]:
    """What of a network's state is averaged: parameters, under all their names, and running statistics."""
    state = task.state_dict(keep_vars=True)
    parameters = {name for name, tensor in state.items() if isinstance(tensor, nn.Parameter)}
    return parameters | running_statistics(task).keys()


def weighted_mean(states: Iterable[tuple[float, State]], *, names: Collection[str]) -> dict[str, Tensor]:
    """Average states one after the other, so that only one of them need be in memory.

    Args:
        states: With what each counts, above 0; the newest last.
        names: What is averaged, in 64 bits; everything else is the newest state's.

    Returns:
        A state of the same types.
    """
    total = 0.0
    sums: dict[str, Tensor] = {}
    newest: State = {}
    for share, state in states:
        total += share
        newest = state
        for name in names:
            term = state[name].double() * share
            sums[name] = sums[name] + term if name in sums else term
    means = {name: (sums[name] / total).to(newest[name].dtype) for name in sums}
    return {**newest, **means}


def shares(count: int, *, decay: float | None) -> list[float]:
    """What each of so many checkpoints counts, the oldest first.

    Args:
        count: How many.
        decay: What one counts, as a share of the next; None: all alike.
    """
    return [1.0 if decay is None else decay ** (count - 1 - place) for place in range(count)]


def best_epochs(paths: Sequence[Path], *, k: int, mode: str) -> list[Path]:
    """The best of a run's checkpoints by its own measure, of equals the later; in the order of their epochs.

    Args:
        paths: Checkpoints of epochs, beside the run's `last.ckpt`, which knows their measures.
        k: At most so many.
        mode: Whether ``max`` or ``min`` is better.
    """
    sign = 1 if mode == "max" else -1
    known = _known_measures(paths[0].with_name("last.ckpt"))
    worth = {path: sign * known.get(path.name, -sign * math.inf) for path in paths}
    return sorted(sorted(paths, key=lambda path: (worth[path], path.name))[-k:])


def _known_measures(last: Path) -> dict[str, float]:
    if not last.is_file():
        return {}
    callbacks = checkpoints.read(last).get("callbacks", {}).values()
    found = [state["best_k_models"] for state in callbacks if "best_k_models" in state]
    return {Path(path).name: float(value) for models in found for path, value in models.items()}


def check_alike(first: Mapping[str, Any], other: Mapping[str, Any], *, names: tuple[str, str]) -> None:
    """Refuse to average networks of which the same weights would mean something else.

    Args:
        first: A checkpoint, from `checkpoints.read`.
        other: Another one.
        names: What people call the two.

    Raises:
        Mistake: Task, classes, preparation of images, network or the shape of a weight differ.
    """
    for what, (one, two) in _differences(first, other):
        raise Mistake(
            f"{names[0]} and {names[1]} cannot be averaged: {what} is {one} in one and {two} in the "
            "other; give runs of the same network and classes"
        )


def _differences(
    first: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterable[tuple[str, tuple[object, object]]]:
    described = [_described(checkpoint) for checkpoint in (first, other)]
    for key in sorted(described[0].keys() | described[1].keys()):
        one, two = (found.get(key, "not there") for found in described)
        if one != two:
            yield key, (one, two)


def _described(checkpoint: Mapping[str, Any]) -> dict[str, object]:
    """What must agree: task, model, classes and what is done to images, then the shape of each weight."""
    config, metadata = checkpoint["pipeline"]["config"], checkpoint["pipeline"]["metadata"]
    model = {
        f"model.{key}": value for key, value in flatten(config["model"]) if key.split(".")[-1] not in _FREE
    }
    known = {f"the data's {key}": metadata.get(key) for key in ("class_names", "channels", "mean", "std")}
    shapes = {f"the shape of {name}": tuple(each.shape) for name, each in checkpoint["state_dict"].items()}
    return {"task": config["choices"]["task"], **model, **known, **shapes}
