"""How a sweep begins: what was typed is checked whole, then it has a run in MLflow and a folder."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pipeline import requeue
from pipeline.errors import Mistake
from pipeline.runs import outputs
from pipeline.sweeps.checking import JobCheck, check_all
from pipeline.sweeps.folder import SWEEPS, Sweep, all_sweeps, find_sweep
from pipeline.sweeps.grid import GridSearch
from pipeline.sweeps.searches import check as check_settings
from pipeline.sweeps.searches import check_search
from pipeline.sweeps.settings import SearchSettings
from pipeline.sweeps.words import Typed, example, repetitions, shown

if TYPE_CHECKING:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Override

    from pipeline.sweeps.parent import Parent

_OF_THE_SWEEP = ("hydra.mode=", "hydra.sweeper.resume=", "hydra.sweeper.retry_failed=")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a sweep is to do, checked.

    Attributes:
        settings: How it searches.
        typed: Words of every job, and words with several values.
        repetitions: Words of each training of a trial.
        config: Configuration of an example of its jobs.
        objectives: Names of measures with max or min.
        words: What was typed, to go on with it later.
        flags: Options of the command line that its jobs need too.
        root: The project's root folder.
    """

    settings: SearchSettings
    typed: Typed
    repetitions: Sequence[tuple[str, ...]]
    config: Mapping[str, Any]
    objectives: Mapping[str, str]
    words: tuple[str, ...]
    flags: tuple[str, ...]
    root: Path

    @property
    def task(self) -> str:
        """Name of the task."""
        return str(self.config["choices"]["task"])

    @property
    def is_tracked(self) -> bool:
        """Whether MLflow is told."""
        return "run_id" in self.config["logger"]


def wanted(
    *,
    settings: SearchSettings,
    typed: Typed,
    config: Any,
    check: JobCheck,
    parser: "OverridesParser",
    root: Path,
) -> Wanted:
    """Check what a sweep is to do, before anything is written.

    Args:
        settings: How it searches.
        typed: What was typed, taken apart.
        config: What Hydra has composed for the sweep.
        check: Of one job.
        parser: Hydra's.
        root: The project's root folder.

    Raises:
        Mistake: Something in it is wrong.
    """
    _refuse_words(typed, settings=settings)
    settings = _as_typed(settings, words=_said(config), parser=parser)
    repeated = repetitions(settings.repeat, parser=parser)
    narrowed = settings.method == "grid" and settings.start_from is None
    grid = GridSearch(space=typed.space, n_trials=settings.n_trials) if narrowed else None
    first = check([*typed.fixed, *example(typed.space), *repeated[0]])
    objectives = settings.objectives or _watched(first, typed=typed)
    check_settings(settings, objectives=objectives)
    if grid is not None and settings.resume is None:
        check_all(grid.all_trials[1:], fixed=[*typed.fixed, *repeated[0]], check=check)
    if settings.resume is None:
        check_search(settings, space=typed.space, objectives=objectives, root=root)
    return Wanted(
        settings=settings,
        typed=typed,
        repetitions=repeated,
        config=first,
        objectives=objectives,
        words=_said(config),
        flags=_flags(),
        root=root,
    )


def _refuse_words(typed: Typed, *, settings: SearchSettings) -> None:
    for word in typed.fixed:
        if word.lstrip("+").startswith("resume=") and not word.endswith("=null"):
            raise Mistake(
                f"{word}: that is one run, and a sweep is several; make sweep resume= goes on with one"
            )
    if not typed.space and not settings.repeat and not settings.start_from:
        raise Mistake(
            "nothing is searched: give several values, such as model=a,b or optimizer.lr=0.1,0.01, "
            "or hydra.sweeper.repeat={seed:[0,1,2]}"
        )


def _as_typed(settings: SearchSettings, *, words: Sequence[str], parser: "OverridesParser") -> SearchSettings:
    """Objectives and repetitions as they were typed last: Hydra adds what is typed to those of a file."""
    typed = parser.parse_overrides(list(words))
    chosen = {name: _typed_keys(f"hydra.sweeper.{name}", typed) for name in ("objectives", "repeat")}
    kept: dict[str, Any] = {
        name: {key: value for word in keys for key, value in getattr(settings, name).items() if key == word}
        for name, keys in chosen.items()
        if keys is not None
    }
    return replace(settings, **kept)


def _typed_keys(path: str, typed: "Sequence[Override]") -> list[str] | None:
    """Keys in the last word for a whole group, and in those for single ones behind it; None without one."""
    keys: list[str] | None = None
    for override in typed:
        if override.key_or_group == path:
            value = override.value()
            keys = [str(key) for key in value] if isinstance(value, dict) else []
        elif keys is not None and override.key_or_group.startswith(f"{path}."):
            keys.append(override.key_or_group.removeprefix(f"{path}."))
    return keys


def _watched(config: Mapping[str, Any], *, typed: Typed) -> dict[str, str]:
    """What the task watches."""
    several = [item for item in typed.space if item.key_or_group == "task"]
    if several:
        raise Mistake(
            f"{several[0].input_line}: tasks have different measures, and a sweep compares its trials by "
            "one; start one sweep for each task"
        )
    return {str(config["task"]["monitor"]): str(config["task"]["mode"])}


def _said(config: Any) -> tuple[str, ...]:
    words = [*config.hydra.overrides.hydra, *config.hydra.overrides.task]
    return tuple(str(word) for word in words if not str(word).startswith(_OF_THE_SWEEP))


def _flags() -> tuple[str, ...]:
    from hydra._internal.utils import get_args_parser

    given = get_args_parser().parse_args(sys.argv[1:])
    folder = ("--config-dir", str(Path(given.config_dir).resolve())) if given.config_dir else ()
    return (*folder, *(("--config-name", given.config_name) if given.config_name else ()))


def earlier(wanted: Wanted) -> Sweep | None:
    """The sweep that goes on: named, or begun by the same command before SLURM put its job back.

    Args:
        wanted: What is to be done.
    """
    if wanted.settings.resume is not None:
        return find_sweep(root=wanted.root, name=wanted.settings.resume, key="resume")
    if int(os.environ.get("SLURM_RESTART_COUNT") or 0) == 0:
        return None
    same = [
        sweep
        for sweep in all_sweeps(wanted.root)
        if sweep.facts.get("slurm_job") == requeue.job() and sweep.facts["words"] == list(wanted.words)
    ]
    return same[-1] if same else None


def new_sweep(wanted: Wanted, *, parent: "Parent | None") -> Sweep:
    """Make the folder of a sweep.

    Args:
        wanted: What is to be done.
        parent: Its run in MLflow, by whose id it is known.
    """
    sweep_id = parent.run_id if parent is not None else uuid4().hex
    folder = outputs(wanted.root) / SWEEPS / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{sweep_id[:8]}"
    (folder / "jobs").mkdir(parents=True)
    settings = wanted.settings
    facts = {
        "sweep_id": sweep_id,
        "started": time.time(),
        "status": "RUNNING",
        "words": wanted.words,
        "fixed": wanted.typed.fixed,
        "flags": wanted.flags,
        "task": wanted.task,
        "objectives": dict(wanted.objectives),
        "method": settings.method,
        "n_trials": settings.n_trials,
        "seed": settings.seed,
        "repeat": dict(settings.repeat),
        "prune": settings.prune,
        **({"slurm_job": requeue.job()} if requeue.job() else {}),
    }
    # As it is read again: lists, no tuples.
    return Sweep(folder=folder, facts=json.loads(json.dumps(facts))).update()


def open_parent(wanted: Wanted, *, resume_id: str | None) -> "Parent | None":
    """The run of a sweep in MLflow; None where MLflow is not told.

    Args:
        wanted: What is to be done.
        resume_id: Id of the sweep that goes on.
    """
    if not wanted.is_tracked:
        return None
    from pipeline.sweeps.parent import Parent

    return Parent.open(
        root=wanted.root,
        words=wanted.words,
        task=wanted.task,
        method=wanted.settings.method,
        name=", ".join(shown(f"{item.get_key_element()}=").rstrip("=") for item in wanted.typed.space)
        or ", ".join(wanted.settings.repeat)
        or "the best of an earlier sweep",
        resume_id=resume_id,
    )
