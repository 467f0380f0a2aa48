"""Joins networks to one, measures it beside its members, and makes it a run of its own."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from pipeline import record
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.devices import ChannelsLast
from pipeline.errors import Mistake
from pipeline.fusing import FITTED, FITTED_FOR
from pipeline.joining import Which
from pipeline.runs import ENSEMBLE
from pipeline.session import Session, opened
from pipeline.work.ensemble_gain import gain
from pipeline.work.ensemble_members import joined, labels, load_members, measured
from pipeline.work.ensemble_report import Compared, show, write
from pipeline.work.keeping import keep_network
from pipeline.work.loading import Trained, check_classes, data_of
from pipeline.work.measuring import check_monitor
from pipeline.work.report import record_size

Weights = list[float] | Literal["fitted"] | None

# What is typed beside runs= and holds for measuring here, whatever the members were trained with.
_OF_DATA = ("batch_size", "num_workers", "data_dir")


def run(
    *,
    composed: Composed,
    seed: int,
    resume: str | None = None,
    channels_last: ChannelsLast = "auto",
    compile: bool = False,
    batch_size_finder: bool = False,
    members: int | None = None,
    jobs: int | None = None,
    runs: list[str] | None = None,
    run: str | None = None,
    which: Which = "snapshots",
    fusion: str | None = None,
    weights: list[float] | Literal["fitted"] | None = None,
    name: str | None = None,
    draws: int | None = None,
) -> int:
    """Join networks into a run of its own.

    Args:
        composed: The whole configuration.
        seed: Where the draws of the intervals start.
        resume: Not used here.
        channels_last: Of the members' training.
        compile: Of the members' training.
        batch_size_finder: Of the members' training.
        members: Of the members' training; over by now.
        jobs: Of the members' training.
        runs: The members, each by its whole run id, or by the path of a checkpoint.
        run: Not used here: its checkpoints are in `runs` by now.
        which: Not used here.
        fusion: How answers become one; None: the task's own choice.
        weights: A number for each member, or `fitted` on the validation split; None: all alike.
        name: Name of the run in MLflow; None: by the data.
        draws: Bootstrap samples behind the intervals; None: a usual number.

    Returns:
        The exit code, 0.
    """
    with console.status("loading the members"):
        team = load_members(root=composed.root, names=runs or [])
        check_monitor(team[0], unknown="which member is best; name a run first that has a monitor")
        fits = weights == FITTED
        task = joined(team, fusion=fusion, weights=None if isinstance(weights, str) else weights)
    if fits:
        _check_can_fit(task)
    with console.status("reading the data"):
        datamodule: Any = data_of(team[0], **_typed_for_data(composed))
        datamodule.prepare_data()
        datamodule.setup()
    for trained in team:
        check_classes(trained, datamodule)
    config = _config(team[0], composed=composed, name=name)
    own = replace(composed, settings={**composed.settings, "resume": None})
    with opened(own, config=config) as session:
        compared = _compare(session, config=config, team=team, task=task, datamodule=datamodule, fits=fits)
        found = gain(
            compared.members,
            compared.ensemble,
            monitor=config["task"]["monitor"],
            mode=config["task"]["mode"],
            draws=draws,
            seed=seed,
        )
        _keep(session, task=task, team=team, config=config)
        write(session, compared, gain=found, mode=config["task"]["mode"])
    show(session, compared, gain=found, draws=draws)
    return 0


def _check_can_fit(task: Any) -> None:
    """Say at once, and not after all have been measured, that weights cannot be fitted."""
    if "fit_weights" not in vars(type(task)):
        task.fit_weights([])  # says why
    if task.fusion != FITTED_FOR:
        raise Mistake(
            f"fusion={task.fusion} weights=fitted: weights are fitted for fusion={FITTED_FOR}; leave one out"
        )


def _typed_for_data(composed: Composed) -> dict[str, Any]:
    typed = {word.partition("=")[0] for word in composed.overrides}
    return {key: composed.config["data"].get(key) for key in _OF_DATA if f"data.{key}" in typed}


def _config(lead: Trained, *, composed: Composed, name: str | None) -> dict[str, Any]:
    """The first member's configuration under the ensemble's name."""
    config = copy.deepcopy(lead.config)
    config["choices"]["model"] = ENSEMBLE
    if any(word.startswith("logger") for word in composed.overrides):
        config["logger"] = composed.config["logger"]
    if name is not None and "run_name" in config["logger"]:
        config["logger"]["run_name"] = name
    config["trainer"]["accelerator"] = composed.config["trainer"]["accelerator"]
    return config


def _compare(
    session: Session,
    *,
    config: dict[str, Any],
    team: Sequence[Trained],
    task: Any,
    datamodule: Any,
    fits: bool,
) -> Compared:
    """Every member by itself, then all together."""
    session.keep_input(datamodule.summary())
    where = {"config": config, "accelerator": config["trainer"]["accelerator"], "folder": session.folder}
    found = []
    for number, (trained, label) in enumerate(zip(team, labels(team), strict=True), 1):
        console.print(f"measuring member {number} of {len(team)}: run {label}")
        found.append(measured(trained.task, datamodule, **where))
    if fits:
        shares = task.fit_weights([each.validation for each in found])
        task.member_weights.copy_(torch.tensor(shares))
    console.print("measuring the ensemble")
    together = measured(task, datamodule, **where, watching=("progress", "figures"), logger=session.logger)
    return Compared(
        labels=labels(team),
        models=[trained.config["choices"]["model"] for trained in team],
        seeds=[trained.config["seed"] for trained in team],
        run_ids=[trained.run_id for trained in team],
        checkpoints=[trained.path.name for trained in team],
        weights=task.weights,
        fusion=task.fusion,
        monitor=config["task"]["monitor"],
        members=found,
        ensemble=together,
    )


def _keep(session: Session, *, task: Any, team: Sequence[Trained], config: dict[str, Any]) -> Path:
    """The joined network as a checkpoint like any other; calibrated, because validation has been measured."""
    made_of = {
        "fusion": task.fusion,
        "weights": task.weights,
        "members": [
            {"run_id": trained.run_id, "config": trained.config, "metadata": trained.metadata}
            for trained in team
        ],
    }
    pipeline = {"run_id": session.run_id, "config": config, "metadata": team[0].metadata, "ensemble": made_of}
    path = session.folder / "checkpoints" / "ensemble.ckpt"
    path.parent.mkdir()
    state = {name: tensor.detach().cpu() for name, tensor in task.state_dict().items()}
    torch.save({"state_dict": state, "pipeline": pipeline}, path)
    parents = list(dict.fromkeys(trained.run_id for trained in team))
    record.update_facts(
        session.folder,
        checkpoint=str(path.relative_to(session.folder)),
        ensemble={"parents": parents, "fusion": task.fusion, "weights": task.weights},
    )
    keep_network(session, path)
    record_size(session, task)
    if session.tracker is not None:
        session.tracker.log_tags({ENSEMBLE: task.fusion, "parents": " ".join(parents)})
    return path
