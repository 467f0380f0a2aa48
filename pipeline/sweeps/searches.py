"""The search of a sweep, by what a person says of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import Mistake
from pipeline.sweeps.folder import Sweep, find_sweep
from pipeline.sweeps.grid import GridSearch
from pipeline.sweeps.jobs import Search
from pipeline.sweeps.random_search import RandomSearch
from pipeline.sweeps.settings import SearchSettings
from pipeline.sweeps.space_words import dimensions_of, listed, overrides_of, written
from pipeline.sweeps.spaces import Dimension
from pipeline.sweeps.storages import address_of, environment_of, opened, shown
from pipeline.sweeps.watching import Watched

TRIALS = 20
"""How many, where nobody says and the space has no end."""


def search_of(settings: SearchSettings, *, space: Sequence[Any], sweep: Sweep, root: Path) -> Search:
    """What chooses the trials of a sweep; writes into ``sweep.json`` what is searched.

    Args:
        settings: What a person says.
        space: Hydra's ``Override`` objects with several values.
        sweep: The sweep.
        root: The project's root folder.

    Raises:
        Mistake: Something that cannot be searched so, or a storage that does not answer.
    """
    check(settings, objectives=sweep.objectives)
    overrides = _overrides(settings, space=space, sweep=sweep, root=root)
    dimensions = _dimensions(overrides, settings=settings)
    grid = _grid(settings, space=overrides, sweep=sweep) if settings.method == "grid" else None
    sweep.update(space=written(dimensions))
    if uses_optuna(settings):
        return _optuna(settings, space=dimensions, sweep=sweep, root=root, grid=grid.total if grid else None)
    if grid is not None:
        return grid
    return RandomSearch(space=dimensions, n_trials=settings.n_trials or TRIALS, seed=settings.seed)


def check_search(
    settings: SearchSettings, *, space: Sequence[Any], objectives: Mapping[str, str], root: Path
) -> None:
    """Refuse a new sweep that cannot be searched so, before there is anything of it.

    Args:
        settings: What a person says.
        space: Hydra's ``Override`` objects with several values.
        objectives: What is looked for.
        root: The project's root folder.

    Raises:
        Mistake: The same as `search_of` raises.
    """
    check(settings, objectives=objectives)
    overrides = [*space, *_narrowed(settings, space=space, root=root)[1]]
    dimensions = _dimensions(overrides, settings=settings)
    if settings.method == "grid":
        GridSearch(space=overrides, n_trials=settings.n_trials)
    if uses_optuna(settings):
        from pipeline.sweeps.samplers import sampler_of
        from pipeline.sweeps.studies import check_study

        sampler_of(settings.method, space=dimensions, objectives=objectives, seed=settings.seed)
        storage = opened(address_of(settings.storage, root=root))
        if settings.study is not None:
            check_study(settings.study, storage=storage, space=dimensions, objectives=objectives)


def uses_optuna(settings: SearchSettings) -> bool:
    """Whether a study of Optuna's remembers the trials.

    Args:
        settings: What a person says.
    """
    plain = settings.method in ("grid", "random")
    return not plain or bool(settings.storage or settings.study) or settings.prune != "none"


def check(settings: SearchSettings, *, objectives: Mapping[str, str]) -> None:
    """Refuse what does not go together; needs neither Optuna nor a folder.

    Args:
        settings: What a person says.
        objectives: What is looked for.

    Raises:
        Mistake: With the way out.
    """
    if settings.n_trials is not None and settings.n_trials < 1:
        raise Mistake(f"hydra.sweeper.n_trials={settings.n_trials} must be at least 1, or null")
    if settings.seed < 0:
        raise Mistake(f"hydra.sweeper.seed={settings.seed} must be at least 0")
    wrong = {name: mode for name, mode in objectives.items() if mode not in ("max", "min")}
    for name, mode in wrong.items():
        raise Mistake(f"hydra.sweeper.objectives: {name} is {mode}, and must be max or min")
    if settings.prune == "none":
        return
    first = next(iter(objectives))
    prune = f"hydra.sweeper.prune={settings.prune}"
    if len(objectives) > 1:
        raise Mistake(
            f"{prune}: a trial is hopeless by one measure, and there are {len(objectives)} "
            f"({', '.join(objectives)}); name one in hydra.sweeper.objectives, or leave prune out"
        )
    if not first.startswith("val/"):
        raise Mistake(
            f"{prune}: while a trial trains, {first} is not known; look for a measure of validation, "
            f"such as hydra.sweeper.objectives={{val/loss: min}}, or leave prune out"
        )
    if settings.repeat:
        raise Mistake(
            f"{prune}: a trial that trains several times (repeat={', '.join(settings.repeat)}) is judged by "
            f"the mean, which is not known before its end; leave out one of the two"
        )


def _overrides(settings: SearchSettings, *, space: Sequence[Any], sweep: Sweep, root: Path) -> list[Any]:
    """What is searched: as a sweep that goes on has written it down, or as typed, and narrowed."""
    recorded = sweep.facts.get("space")
    if isinstance(recorded, Mapping) and recorded:
        return overrides_of(recorded)
    start_from, narrowed = _narrowed(settings, space=space, root=root, other_than=sweep.sweep_id)
    if start_from:
        sweep.update(start_from=start_from)
    return [*space, *narrowed]


def _narrowed(
    settings: SearchSettings, *, space: Sequence[Any], root: Path, other_than: str = ""
) -> tuple[str, list[Any]]:
    """Id of the sweep whose ranges are narrowed, and those that nobody has typed; nothing without one."""
    if settings.start_from is None:
        return "", []
    from pipeline.sweeps.narrowing import narrowed

    earlier = find_sweep(
        root=root, name=settings.start_from, key="hydra.sweeper.start_from", other_than=other_than
    )
    typed = {one.get_key_element() for one in space}
    left = {key: words for key, words in written(narrowed(earlier)).items() if key not in typed}
    return earlier.sweep_id, overrides_of(left)


def _dimensions(overrides: Sequence[Any], *, settings: SearchSettings) -> list[Dimension]:
    dimensions = dimensions_of(overrides)
    if not dimensions and not settings.repeat:
        raise Mistake(
            "nothing is searched; give several values, such as optimizer.lr=0.1,0.01 or "
            "optimizer.lr=tag(log, interval(1e-4, 1e-1)), or from=<sweep> to narrow the ranges of an earlier "
            "sweep"
        )
    return dimensions


def _grid(settings: SearchSettings, *, space: Sequence[Any], sweep: Sweep) -> GridSearch:
    """Every combination, in the order that the sweep began with; `shuffle(...)` gives another each time."""
    recorded = sweep.facts.get("grid")
    values = dict(recorded) if isinstance(recorded, Mapping) else listed(space)
    sweep.update(grid=values)
    return GridSearch(space=overrides_of(values), n_trials=settings.n_trials)


def _optuna(
    settings: SearchSettings, *, space: Sequence[Dimension], sweep: Sweep, root: Path, grid: int | None
) -> Search:
    address = address_of(settings.storage, root=root)
    name = settings.study or sweep.sweep_id
    storage = opened(address)
    from pipeline.sweeps.optuna_search import OptunaSearch
    from pipeline.sweeps.samplers import sampler_of
    from pipeline.sweeps.studies import check_known, joined

    check_known(sweep, storage=storage, address=shown(address))
    sampler = sampler_of(settings.method, space=space, objectives=sweep.objectives, seed=settings.seed)
    study = joined(
        name=name,
        storage=storage,
        space=space,
        objectives=sweep.objectives,
        sampler=sampler,
        prune=settings.prune,
    )
    sweep.update(study=name, storage=shown(address))
    return OptunaSearch(
        study=study,
        space=space,
        objectives=sweep.objectives,
        sweep_id=sweep.sweep_id,
        n_trials=grid or settings.n_trials or TRIALS,
        environment=_environment(settings, study=name, address=address, measure=next(iter(sweep.objectives))),
    )


def _environment(
    settings: SearchSettings, *, study: str, address: str, measure: str
) -> Callable[[int], Mapping[str, str]]:
    """What the processes of a trial are told, by its number; nothing where none is ended early."""
    if settings.prune == "none":
        return lambda number: {}
    return lambda number: {
        **Watched(
            study=study, number=number, storage=shown(address), prune=settings.prune, measure=measure
        ).to_environment(),
        **environment_of(address),
    }
