"""Features that judge pictures: how a person names them, and what is wrong with that; no torch here."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import fitting
from pipeline.errors import Mistake
from pipeline.problems import MISSING, Problem
from pipeline.runs import WHOLE_ID, Run, find_run

Config = Mapping[str, Any]

FEATURES = "features"
"""What people type before the name of a file; `features=run:<id>` names a run of the project, too."""

NODE = "model.features"
"""Where they stand in the configuration; people may type `features.` before their arguments."""

CHOICE = f"{FEATURES}@{NODE}"
"""How Hydra calls the choice of a file."""

KEY = f"{NODE}.run"

_OF_RUN = re.compile(rf"{FEATURES}=run:(\w*)")


def spelt_out(word: str) -> list[str]:
    """An override as Hydra calls it: `features=run:1a2b3c4d` is the choice of a file and the run's id.

    Args:
        word: As a person typed it.
    """
    of_run = _OF_RUN.fullmatch(word)
    if of_run is None:
        return [re.sub(rf"^{FEATURES}=", f"{CHOICE}=", re.sub(rf"^{FEATURES}\.", f"{NODE}.", word))]
    # In quotes, because an id such as 12345678 or 1e5 is no number.
    return [f"{CHOICE}=run", *([f'{KEY}="{of_run[1]}"'] if of_run[1] else [])]


def named_run(config: Config) -> str:
    """The run whose network judges; empty where none does, or where its checkpoint is known already."""
    model = config.get("model")
    features = model.get("features") if isinstance(model, Mapping) else None
    if not isinstance(features, Mapping) or features.get("weights") is not None:
        return ""
    return str(features.get("run") or "")


def latest_of(name: str) -> str | None:
    """The task among whose runs one is looked for: `latest` is the latest classifier."""
    return fitting.NETWORKS if name == "latest" else None


def check_features(*, root: Path, config: Config) -> None:
    """Answer a wrong `features=run:<id>` at once.

    A whole id may still be known to the MLflow server; that is looked up later.

    Args:
        root: The project's root folder.
        config: The resolved configuration.

    Raises:
        Mistake: No run on this machine is meant, or one without a classifier.
    """
    name = named_run(config)
    if name and not WHOLE_ID.fullmatch(name):
        check_has_classifier(find_run(root=root, name=name, task=latest_of(name), trained=True, key=KEY))


def check_has_classifier(run: Run) -> None:
    """Refuse a run whose network is no classifier and has none inside.

    Args:
        run: The run whose network is to judge pictures.

    Raises:
        Mistake: It is of a task with other networks.
    """
    if run.is_ensemble:
        raise Mistake(
            f"{FEATURES}=run:{run.run_id[:8]} is an ensemble, and pictures are judged by a single network; "
            "name one of its members"
        )
    fit = (fitting.NETWORKS, *fitting.tasks_with_networks())
    if run.task not in fit:
        raise Mistake(
            f"{FEATURES}=run:{run.run_id[:8]} is a run of task={run.task}, whose network gives no maps to "
            f"judge pictures by; name one of task={' or task='.join(fit)}, or choose {FEATURES}=random"
        )


def wrong_features(config: Config) -> Iterator[Problem]:
    """Something else than features where they stand: a file of them is chosen by name.

    Args:
        config: The resolved configuration.

    Yields:
        At most one problem.
    """
    model = config.get("model")
    if not isinstance(model, Mapping) or FEATURES not in model:
        return
    features = model[FEATURES]
    if not isinstance(features, Mapping) or "_target_" not in features:
        names = ", ".join(path.stem for path in sorted((fitting.CONF / FEATURES).glob("*.yaml")))
        message = f"is chosen as a file, with {FEATURES}=NAME; there are {names}"
        yield Problem(NODE, features, message)
    elif features.get("run") == MISSING:
        message = f"needs the id of a run that was trained here, or a beginning of it: {FEATURES}=run:<id>"
        yield Problem(KEY, MISSING, message)


def several_processes(config: Config) -> Iterator[Problem]:
    """More than one process for a single picture, each of which would paint all of it.

    Args:
        config: The resolved configuration.

    Yields:
        A problem for devices, and one for machines.
    """
    model, trainer = config.get("model"), config.get("trainer")
    if not isinstance(model, Mapping) or "content_size" not in model or not isinstance(trainer, Mapping):
        return
    devices, machines = trainer.get("devices"), trainer.get("num_nodes", 1)
    is_one = devices in (1, "1") or (isinstance(devices, list) and len(devices) == 1)
    message = "there is one picture, which several processes cannot share; set"
    if not is_one:
        yield Problem("trainer.devices", devices, f"{message} trainer.devices=1")
    if machines != 1:
        yield Problem("trainer.num_nodes", machines, f"{message} trainer.num_nodes=1")


def one_picture_for_a_network(config: Config) -> Iterator[Problem]:
    """A single picture as data of a network that is to learn to paint any.

    The other way round, the model itself refuses: such data may be browsed with no other model chosen.

    Args:
        config: The resolved configuration.

    Yields:
        At most one problem.
    """
    model, data = config.get("model"), config.get("data")
    if not isinstance(model, Mapping) or not isinstance(data, Mapping) or FEATURES not in model:
        return
    if "content" in data and "content_size" not in model:
        chosen = str((config.get("choices") or {}).get("data") or data.get("_target_"))
        message = "is one picture, from which a network learns to paint no other; leave data= out"
        yield Problem("data", chosen, message)
