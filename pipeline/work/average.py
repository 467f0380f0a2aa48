"""Averages weights, keeps the mean where validation says that it is no worse, and measures it on test."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline import checkpoints
from pipeline.averaging import Which, check_epochs, check_parents
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.remote_runs import find_or_fetch
from pipeline.work.average_judge import Judge, Measures
from pipeline.work.average_record import keep
from pipeline.work.average_report import Sides, show_kept, show_left
from pipeline.work.average_weights import (
    State,
    averaged_names,
    best_epochs,
    check_alike,
    shares,
    weighted_mean,
)
from pipeline.work.loading import Trained, check_classes, data_of, load_trained
from pipeline.work.measuring import check_monitor


def run(
    *,
    composed: Composed,
    run: str = "latest",
    task_name: str | None = None,
    which: Which = "best_k",
    k: int = 5,
    decay: float = 0.7,
    runs: list[str] | None = None,
    batch_size: int | None = None,
    num_workers: int | None = None,
    data_dir: str | None = None,
    accelerator: str = "auto",
) -> int:
    """Average checkpoints of a run, or the kept weights of several, into a run of its own.

    Args:
        composed: The whole configuration.
        run: A whole run id by now; not used with `soup`.
        task_name: The latest run of this task; typed as `task=`.
        which: `best_k`, `last_k`, `ema` (the last ones, the older the less) or `soup` (of several runs).
        k: At most so many checkpoints of a run.
        decay: With `ema`, what a checkpoint counts, as a share of the next one, in (0, 1).
        runs: With `soup`, the runs, by whole ids.
        batch_size: As trained where None.
        num_workers: As trained where None.
        data_dir: Where the data lies now, if it has moved.
        accelerator: Lightning's name of the device.

    Returns:
        The exit code, 0, also where the average is worse and nothing is kept.
    """
    key, names = ("runs", runs or []) if which == "soup" else ("run", [run])
    parents = [find_or_fetch(root=composed.root, name=name, task=task_name, key=key) for name in names]
    check_parents(parents)
    trained = load_trained(root=composed.root, run=parents[0].run_id, checkpoint=None, task=task_name)
    check_monitor(trained, unknown="whether its average is worse; train with one")
    with console.status("reading the data"):
        datamodule: Any = data_of(trained, batch_size=batch_size, num_workers=num_workers, data_dir=data_dir)
        datamodule.prepare_data()
        datamodule.setup()
    check_classes(trained, datamodule)
    judge = Judge(trained, datamodule=datamodule, accelerator=accelerator)
    if which == "soup":
        sides = _soup([(parent.run_id, checkpoints.kept(parent)) for parent in parents], trained, judge=judge)
    else:
        paths = check_epochs(parents[0], which=which)
        chosen = best_epochs(paths, k=k, mode=judge.mode) if which == "best_k" else paths[-k:]
        sides = _of_epochs(chosen, trained, judge=judge, which=which, decay=decay)
    if len(sides.sources) < 2 or not judge.is_no_worse(sides.after, sides.before):
        show_left(sides)
        return 0
    if sides.parents[0] != trained.run_id:  # the record of a soup is that of the best run in it
        trained = load_trained(root=composed.root, run=sides.parents[0], checkpoint=None, task=task_name)
    session, test = keep(composed, trained=trained, judge=judge, sides=sides)
    show_kept(sides, session=session, test=test)
    return 0


def _of_epochs(paths: Sequence[Path], trained: Trained, *, judge: Judge, which: Which, decay: float) -> Sides:
    """The mean of epochs of one run, beside the weights that the run kept."""
    before = judge.validate()
    counted = shares(len(paths), decay=decay if which == "ema" else None)
    judge.load(_mean(paths, counted=counted, trained=trained))
    if which != "ema":  # its statistics are an average of those of weights that hardly differ
        judge.recompute_statistics()
    rival = f"checkpoints/{trained.path.name}, which run {trained.run_id[:8]} kept"
    return Sides(
        which=which,
        monitor=judge.monitor,
        parents=[trained.run_id],
        rival=rival,
        sources=paths,
        before=before,
        after=judge.validate(),
    )


def _mean(paths: Sequence[Path], *, counted: Sequence[float], trained: Trained) -> State:
    def states() -> Iterator[tuple[float, State]]:
        for path, share in zip(paths, counted, strict=True):
            yield share, checkpoints.read(path)["state_dict"]

    return weighted_mean(states(), names=averaged_names(trained.task))


def _soup(candidates: Sequence[tuple[str, Path]], trained: Trained, *, judge: Judge) -> Sides:
    """Of runs the best first, each kept in the mean where this is no worse on validation.

    Wortsman and others: Model soups, 2022, recipe 1 (https://arxiv.org/abs/2203.05482).
    """
    ranked = _ranked(candidates, judge=judge)
    run_id, path, best = ranked[0]
    taken, parents, after = [path], [run_id], best
    judge.load(checkpoints.read(path)["state_dict"])
    state = judge.state()
    for other_id, other, _ in ranked[1:]:
        paths = [*taken, other]
        judge.load(_mean(paths, counted=shares(len(paths), decay=None), trained=trained))
        judge.recompute_statistics()
        measured = judge.validate()
        if judge.is_no_worse(measured, after):
            taken, parents, after, state = paths, [*parents, other_id], measured, judge.state()
    judge.load(state)
    return Sides(
        which="soup",
        monitor=judge.monitor,
        parents=parents,
        rival=f"the best of them, run {run_id[:8]}",
        sources=taken,
        before=best,
        after=after,
    )


def _ranked(candidates: Sequence[tuple[str, Path]], *, judge: Judge) -> list[tuple[str, Path, Measures]]:
    """Runs with their measures on validation, the best first; all of one network."""
    first = checkpoints.read(candidates[0][1])
    measured = []
    for run_id, path in candidates:
        checkpoint = checkpoints.read(path)
        check_alike(first, checkpoint, names=(f"run {candidates[0][0][:8]}", f"run {run_id[:8]}"))
        judge.load(checkpoint["state_dict"])
        measured.append((run_id, path, judge.validate()))
    sign = 1 if judge.mode == "max" else -1
    return sorted(measured, key=lambda one: sign * one[2][judge.monitor], reverse=True)
