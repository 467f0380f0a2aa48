"""`make average`: the mean of a run's weights over epochs, or of several runs, if it is no worse."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipeline.averaging import check_epochs, check_parents
from pipeline.compose import Composed, run_verb
from pipeline.errors import Mistake
from pipeline.launch import launch
from pipeline.runs import WHOLE_ID, Run, find_run


def _start(composed: Composed) -> int:
    """Hand the worker whole ids: `latest` may soon be another run."""
    _check_words(composed)
    _check_decay(composed.settings)
    settings, which = composed.settings, composed.settings["which"]
    key, names = ("runs", settings["runs"]) if which == "soup" else ("run", [settings["run"]])
    found = [_found(composed, name, key=key) for name in names]
    ids = [run.run_id if run else name for run, name in zip(found, names, strict=True)]
    _check_once(ids, names=names)
    here = [run for run in found if run]
    check_parents(here)
    if which != "soup" and here:
        check_epochs(here[0], which=which)
    exact = {"runs": ids} if which == "soup" else {"run": ids[0]}
    return launch(replace(composed, settings={**settings, **exact}))


def _check_words(composed: Composed) -> None:
    """Raises Mistake where runs are given that would not be looked at, or too few."""
    settings, which = composed.settings, composed.settings["which"]
    runs = settings["runs"] or []
    typed = f"runs=[{','.join(runs)}]"
    if which != "soup" and runs:
        raise Mistake(
            f"{typed}: which={which} averages epochs of one run; add which=soup, or give one as run="
        )
    if which == "soup" and any(word.lstrip("+").startswith("run=") for word in composed.overrides):
        raise Mistake(
            f"run={settings['run']}: which=soup averages those of runs=; name it there, or leave it out"
        )
    if which == "soup" and len(runs) < 2:
        raise Mistake(
            f"which=soup averages runs, but {typed}; give two or more, such as runs=[1a2b3c4d,5e6f7a8b]"
        )


def _check_decay(settings: dict[str, Any]) -> None:
    decay = settings["decay"]
    if settings["which"] == "ema" and not 0 < decay < 1:
        raise Mistake(
            f"decay={decay} must be in (0, 1): what a checkpoint counts, as a share of the next one"
        )


def _found(composed: Composed, name: str, *, key: str) -> Run | None:
    """The run that a person means; None where the MLflow server alone may know it, by its whole id."""
    task = composed.settings["task_name"]
    try:
        return find_run(root=composed.root, name=name, task=task, trained=True, key=key)
    except Mistake:
        if not WHOLE_ID.fullmatch(name):
            raise
        return None


def _check_once(ids: Sequence[str], *, names: Sequence[str]) -> None:
    twice = next((run_id for run_id in ids if ids.count(run_id) > 1), None)
    if twice:
        raise Mistake(f"runs=[{','.join(names)}] names run {twice[:8]} twice; give each once")


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="average", start=_start))


if __name__ == "__main__":
    main()
