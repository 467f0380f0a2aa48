"""A study of Optuna's: made, or joined where others have made it.

Imported only where Optuna is used.
"""

import json
from collections.abc import Mapping, Sequence

import optuna
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection

from pipeline.errors import Mistake
from pipeline.sweeps.folder import Sweep
from pipeline.sweeps.samplers import distributions_of, pruner_of
from pipeline.sweeps.settings import Pruner
from pipeline.sweeps.space_words import written
from pipeline.sweeps.spaces import Dimension
from pipeline.sweeps.storages import STORAGE

_DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
_SPACE, _OBJECTIVES = "space", "objectives"


def check_known(sweep: Sweep, *, storage: optuna.storages.BaseStorage, address: str) -> None:
    """Refuse a storage that knows nothing of a sweep that goes on: its trials would be numbered anew.

    Args:
        sweep: A new one, or one that goes on.
        storage: Where its study is looked for.
        address: Of the storage, as it may be shown.

    Raises:
        Mistake: The study is not there.
    """
    name = sweep.facts.get("study")
    if name is not None and name not in optuna.get_all_study_names(storage):
        raise Mistake(
            f"resume={sweep.sweep_id[:8]}: {address} does not know the study {name}, in which Optuna "
            f"remembers the trials of this sweep; that is in {sweep.facts.get('storage')}: set the "
            f"environment variable {STORAGE} to its whole address, as when the sweep was started"
        )


def check_study(
    name: str,
    *,
    storage: optuna.storages.BaseStorage,
    space: Sequence[Dimension],
    objectives: Mapping[str, str],
) -> None:
    """Refuse a study that others have made for something else; one that is not there yet suits.

    Args:
        name: Of the study.
        storage: Where it is remembered.
        space: What is searched.
        objectives: What is looked for.

    Raises:
        Mistake: It searches something else, or looks for something else.
    """
    if name not in optuna.get_all_study_names(storage):
        return
    study = optuna.load_study(study_name=name, storage=storage)
    _check_objectives(study, objectives, known=study.user_attrs)
    _check_space(study, space, known=study.user_attrs)


def joined(
    *,
    name: str,
    storage: optuna.storages.BaseStorage,
    space: Sequence[Dimension],
    objectives: Mapping[str, str],
    sampler: BaseSampler,
    prune: Pruner,
) -> optuna.Study:
    """The study of this name; a new one where there is none.

    Args:
        name: Of the study.
        storage: Where it is remembered.
        space: What is searched.
        objectives: What is looked for.
        sampler: How trials are chosen.
        prune: How hopeless ones are found; Hyperband's trials are compared within their group only.

    Raises:
        Mistake: The study of this name searches something else, or looks for something else.
    """
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=[_DIRECTIONS[mode] for mode in objectives.values()],
        sampler=sampler,
        pruner=pruner_of(prune),
        load_if_exists=True,
    )
    known = study.user_attrs
    # As lists: two that join at the same time write the same, and order counts.
    for key, ours in ((_OBJECTIVES, objectives), (_SPACE, written(space))):
        if key not in known:
            study.set_user_attr(key, json.dumps(list(ours.items())))
    _check_objectives(study, objectives, known=known)
    _check_space(study, space, known=known)
    return study


def _check_objectives(
    study: optuna.Study, objectives: Mapping[str, str], *, known: Mapping[str, str]
) -> None:
    theirs = dict(json.loads(known[_OBJECTIVES])) if _OBJECTIVES in known else dict(objectives)
    directions = [_DIRECTIONS[mode] for mode in objectives.values()]
    if list(theirs.items()) != list(objectives.items()) or study.directions != directions:
        shown = ", ".join(f"{mode} {name}" for name, mode in theirs.items())
        if theirs == dict(objectives):
            shown = ", ".join(direction.name.lower() for direction in study.directions)
        ours = ", ".join(f"{mode} {name}" for name, mode in objectives.items())
        raise Mistake(
            f"hydra.sweeper.study={study.study_name} looks for {shown}, and this sweep for {ours}; "
            f"give the same hydra.sweeper.objectives, or another study"
        )


def _check_space(study: optuna.Study, space: Sequence[Dimension], *, known: Mapping[str, str]) -> None:
    ours = written(space)
    theirs = dict(json.loads(known[_SPACE])) if _SPACE in known else ours
    differing = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    if not differing:
        differing = _incompatible(study, space)
    if differing:
        key = differing[0]
        raise Mistake(
            f"hydra.sweeper.study={study.study_name} searches {key}={theirs.get(key, 'as it stands')}, and "
            f"this sweep {key}={ours.get(key, 'as it stands')}; search the same, or give another study"
        )


def _incompatible(study: optuna.Study, space: Sequence[Dimension]) -> list[str]:
    """Keys that trials made by others have searched in another way; names of the study's own making too."""
    distributions = distributions_of(space)
    used = {
        key: one for trial in study.get_trials(deepcopy=False) for key, one in trial.distributions.items()
    }
    return sorted(key for key, one in used.items() if key not in distributions or one != distributions[key])
