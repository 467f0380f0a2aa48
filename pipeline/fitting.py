"""Which files of conf/ fit which task, read from their text: nothing is composed or imported for it."""

import ast
import re
from collections.abc import Mapping
from functools import cache
from itertools import takewhile
from pathlib import Path

from pipeline.sources import find_module

CONF = Path(__file__).resolve().parent.parent / "conf"

HOMES: Mapping[str, str] = {"model": "lightning_modules.models", "data": "datamodules"}
"""Where the targets of a group are written, before the name of the task."""

NETWORKS = "classification"
"""The task of whose models any may stand inside a model of another task."""

_AROUND = "- /model@network:"  # in the defaults of a model that is built around a network
_JUDGING = "- /features:"  # in those of one that judges pictures by features
_TASK = "${choices.task}"  # in the target of a file that serves several tasks


@cache
def known_tasks() -> frozenset[str]:
    """Names of the tasks that conf/task has a file for."""
    return frozenset(path.stem for path in (CONF / "task").glob("*.yaml"))


@cache
def names_for_task(group: str, task: str) -> tuple[str, ...]:
    """Find the files of a group that belong to a task, by the ``_target_`` they name.

    Args:
        group: ``model`` or ``data``.
        task: Name of the task.

    Returns:
        Names as they are typed after ``model=``, sorted.
    """
    files = _texts(group)
    return tuple(name for name in files if _belongs(_target_of(name, files), home=HOMES[group], task=task))


def tasks_of(group: str, name: str) -> tuple[str, ...]:
    """Find the tasks that a file belongs to.

    Args:
        group: ``model`` or ``data``.
        name: As it is typed after ``model=``.

    Returns:
        Names of tasks, sorted; none for a file that is not there.
    """
    return tuple(task for task in sorted(known_tasks()) if name in names_for_task(group, task))


@cache
def tasks_with_networks() -> tuple[str, ...]:
    """Tasks of which a model is built around a network that is chosen with ``network=``, sorted."""
    return _tasks_of_models_with(_AROUND)


@cache
def tasks_with_features() -> tuple[str, ...]:
    """Tasks of which a model judges pictures by features that are chosen with ``features=``, sorted."""
    return _tasks_of_models_with(_JUDGING)


def _tasks_of_models_with(words: str) -> tuple[str, ...]:
    having = {name for name, text in _texts("model").items() if words in text}
    return tuple(task for task in sorted(known_tasks()) if having & set(names_for_task("model", task)))


def networks() -> tuple[str, ...]:
    """Names as they are typed after ``network=``: the classifiers, whose layer of scores can be replaced."""
    return names_for_task("model", NETWORKS)


def is_shared(group: str, name: str) -> bool:
    """Whether a file leaves it to the chosen task which class it names."""
    return _TASK in _target_of(name, _texts(group))


@cache
def recipes_for_task(task: str) -> tuple[str, ...]:
    """Find the recipes that a task can use: those made for the same task as the one it starts from.

    A recipe says so with ``task=NAME`` in its first comment; one that names no task shows pictures as
    classifiers see them.

    Args:
        task: Name of the task.

    Returns:
        Names as they are typed after ``transforms=``, sorted; none where the task names no recipe.
    """
    path = CONF / "task" / f"{task}.yaml"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    own = re.search(r"^\s*- /transforms: (\w+)", text, re.MULTILINE)
    made_for = {name: _named_task(text) for name, text in _texts("transforms").items()}
    if not own or own[1] not in made_for:
        return ()
    return tuple(name for name in made_for if made_for[name] == made_for[own[1]])


def _texts(group: str) -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((CONF / group).glob("*.yaml"))}


def _named_task(text: str) -> str:
    comment = "\n".join(takewhile(lambda line: line.startswith("#"), text.splitlines()))
    named = re.search(r"\btask=(\w+)", comment)
    return named[1] if named else ""


def _target_of(name: str, files: Mapping[str, str]) -> str:
    """The target that a file names, or else the file its defaults begin with."""
    text = files.get(name, "")
    own = re.search(r"^_target_:\s*([\w.${}]+)", text, re.MULTILINE)
    if own:
        return own[1]
    base = re.search(r"^defaults:\s*\n\s*-\s*(\w+)\s*$", text, re.MULTILINE)
    return _target_of(base[1], {key: value for key, value in files.items() if key != name}) if base else ""


def _belongs(target: str, *, home: str, task: str) -> bool:
    """Whether a target is one of the task; of a file for several tasks, whether the task has such a class."""
    named = target.replace(_TASK, task)
    return named.startswith(f"{home}.{task}.") and (_TASK not in target or _is_written(named))


def _is_written(target: str) -> bool:
    module, _, name = target.rpartition(".")
    source = find_module(module)
    return source is not None and isinstance(source.bindings.get(name), ast.ClassDef)
