"""Every mistake of a configuration in one message, before anything heavy is imported."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from pipeline import fitting
from pipeline.averaging import wrong_averages
from pipeline.effective_batch import without_rule, wrong_on_a_cpu, wrong_rule
from pipeline.features import one_picture_for_a_network, several_processes, wrong_features
from pipeline.measures import check_watched
from pipeline.nodes import ALLOWED_PACKAGES, RESERVED, check_node, refusal
from pipeline.problems import MISSING, Problem, nearest, report, way_out
from pipeline.ranges import explain

__all__ = ["ALLOWED_PACKAGES", "Problem", "find_problems", "nearest", "refusal", "report"]

Config = Mapping[str, Any]

_NETWORK = ("model", "network")  # path of the node inside a model
_NODES = ("task", "model", "data", "optimizer", "scheduler", "trainer")  # each is built from one _target_
_STEPS = {"callbacks": 1, "transforms": 2}  # named nodes, this far down
_SPLITS = ("train", "eval", "combine")  # of transforms: with augmentation, without, several pictures in one
_VERBS = "pipeline.work."
_MEASURE = re.compile(r"(train|val|test)/[\w.@-]+")


def find_problems(config: Config, *, top_level: Collection[str]) -> list[Problem]:
    """Check a composed configuration without importing torch or Lightning.

    Args:
        config: Resolved plain values; ``???`` is a value that nobody gave.
        top_level: The keys that a configuration of this verb has.

    Returns:
        Every problem, in the order of the configuration where it has one; empty where all is well.
    """
    checks: list[Callable[[Config], Iterator[Problem]]] = [
        wrong_features,
        one_picture_for_a_network,
        _missing_values,
        lambda whole: _unknown_top_level(whole, top_level),
        _not_nodes,
        _splits,
        _other_network,
        _every_node,
        _plain_values,
        _other_task,
        _other_recipe,
        several_processes,
        _folds,
        _measures,
        _nesterov,
        wrong_averages,
        wrong_rule,
        wrong_on_a_cpu,
    ]
    found: dict[str, Problem] = {}
    for check in checks:
        for problem in check(config):
            found.setdefault(problem.key, problem)  # one line for a value; what is said first is nearer
    return list(found.values())


def _walk(value: Any, path: tuple[str, ...], config: Config) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value with its path, repeated parts only once: ``data.transforms`` is ``${transforms}``."""
    if (
        len(path) == 2
        and path[0] in _NODES
        and path[1] in _shared(config)
        and value == _shared(config)[path[1]]
    ):
        return
    yield path, value
    pairs = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in pairs:
        yield from _walk(child, (*path, str(key)), config)


def _is_repeated(path: tuple[str, ...], value: Any, config: Config) -> bool:
    if len(path) != 2 or path[0] not in _NODES:
        return False
    shared = _shared(config)
    return path[1] in shared and value == shared[path[1]]


def _shared(config: Config) -> dict[str, Any]:
    """What other parts refer to by its name alone: the top level, and the settings of the verb."""
    settings = [
        node for key, node in config.items() if key not in _NODES and _target(node).startswith(_VERBS)
    ]
    return {key: value for part in (config, *settings) for key, value in part.items()}


def _target(node: Any) -> str:
    return str(node.get("_target_", "")) if isinstance(node, Mapping) else ""


def _missing_values(config: Config) -> Iterator[Problem]:
    for path, value in _walk(config, (), config):
        if isinstance(value, str) and value == MISSING:
            key = ".".join(path)
            yield Problem(key, MISSING, f"needs a value; give it with {key}=...")


def _unknown_top_level(config: Config, top_level: Collection[str]) -> Iterator[Problem]:
    for key, value in config.items():
        if key not in top_level:
            end, suggestion = way_out(key, sorted(top_level), otherwise="the keys are")
            yield Problem(key, value, f"there is no such key; {end}", suggestion)


def _not_nodes(config: Config) -> Iterator[Problem]:
    """Places where a part of the run must be described, and something else stands."""
    for key in _NODES:
        yield from _must_be_node(key, config.get(key))
    for key, depth in _STEPS.items():
        for path, value in _walk(config.get(key), (key,), config):
            if len(path) == depth + 1:
                yield from _must_be_node(".".join(path), value)
    for path, value in _walk(config, (), config):
        if isinstance(value, Mapping) and "_target_" not in value:
            yield from _misspelt_target(".".join(path), value)


def _splits(config: Config) -> Iterator[Problem]:
    for split, steps in (config.get("transforms") or {}).items():
        if split not in _SPLITS:
            end, suggestion = way_out(split, _SPLITS, otherwise="a recipe has the parts")
            yield Problem(
                f"transforms.{split}", steps, f"there is no such part of a recipe; {end}", suggestion
            )


def _must_be_node(key: str, value: Any) -> Iterator[Problem]:
    if value is None or value == MISSING or (isinstance(value, Mapping) and "_target_" in value):
        return
    if not isinstance(value, Mapping):
        message = "must be a group of values with a _target_, or null"
        if "." not in key:
            message += f"; choose a file with {key}=<name>, or in a file with `override /{key}: <name>`"
        yield Problem(key, value, message)
    elif not _target_like(value) and value:
        yield Problem(
            f"{key}._target_", MISSING, "needs a _target_; choose one of the files or write the dotted path"
        )


def _misspelt_target(path: str, node: Config) -> Iterator[Problem]:
    for key in _target_like(node):
        yield Problem(
            f"{path}.{key}", node[key], "there is no such key; did you mean '_target_'?", "_target_"
        )


def _target_like(node: Config) -> list[str]:
    if "_target_" in node:
        return []
    words = [str(key) for key in node if str(key).startswith("_") or str(key).endswith("_")]
    return [word for word in words if nearest(word, RESERVED) == "_target_"]


def _every_node(config: Config) -> Iterator[Problem]:
    # Of another task's data or model, the arguments that this task adds are no further mistakes.
    foreign: set[tuple[str, ...]] = {(problem.key,) for problem in _other_task(config)}
    if any(_other_network(config)):
        foreign.add(_NETWORK)
    for path, value in _walk(config, (), config):
        if isinstance(value, Mapping) and "_target_" in value and not foreign & {path[:1], path[:2]}:
            node = without_rule(value) if path == ("optimizer",) else value
            for problem in check_node(".".join(path), node):
                if not _is_repeated(tuple(problem.key.split(".")), problem.value, config):
                    yield problem


def _plain_values(config: Config) -> Iterator[Problem]:
    """Ranges of values that belong to no target, such as the seed."""
    for key, value in config.items():
        reason = explain(key, value)
        if reason:
            yield Problem(key, value, reason)


def _other_task(config: Config) -> Iterator[Problem]:
    choices = config.get("choices") or {}
    task = str(choices.get("task") or "")
    for group in fitting.HOMES if task else ():
        target = _target(config.get(group))
        chosen = str(choices.get(group) or target)
        if target in ("", MISSING) or _is_of_task(group, chosen, target=target, task=task):
            continue
        names = fitting.names_for_task(group, task)
        end = _where_else(group, chosen, target=target, task=task)
        message = f"belongs to another task than task={task}; {group} of {task}: "
        message += f"{', '.join(names) or f'none in conf/{group}'}; {end}"
        yield Problem(group, chosen, message, nearest(chosen, set(names) - {chosen}))


def _is_of_task(group: str, chosen: str, *, target: str, task: str) -> bool:
    """Of a file that serves several tasks, the place says nothing: it follows the task, class or no class."""
    has_class = not fitting.is_shared(group, chosen) or chosen in fitting.names_for_task(group, task)
    return has_class and target.startswith(f"{fitting.HOMES[group]}.{task}.")


def _where_else(group: str, chosen: str, *, target: str, task: str) -> str:
    """The tasks that it does belong to: by its target, or where that follows the task, by its file."""
    home = f"{fitting.HOMES[group]}."
    written = target.removeprefix(home).partition(".")[0] if target.startswith(home) else ""
    others = fitting.tasks_of(group, chosen) if written == task else ({written} & fitting.known_tasks())
    if others:
        return f"or choose {' or '.join(f'task={other}' for other in others)}"
    return f"its _target_ must start with {home}{task}."


def _other_network(config: Config) -> Iterator[Problem]:
    """Something inside a model that is not a classifier, whose layer of scores could become another one."""
    model = config.get("model")
    if not isinstance(model, Mapping) or model.get("network", MISSING) == MISSING:
        return
    target, names = _target(model["network"]), fitting.networks()
    if not target:
        message = f"is chosen as a file, with network=NAME; there are {', '.join(names)}"
        yield Problem("model.network", model["network"], message)
    elif not target.startswith(f"{fitting.HOMES['model']}.{fitting.NETWORKS}."):
        chosen = str((config.get("choices") or {}).get("network") or target)
        end, right = way_out(chosen, names, otherwise="the network is one of")
        message = f"the network inside a model must be a classifier (task={fitting.NETWORKS}); {end}"
        yield Problem("network", chosen, message, right)


def _other_recipe(config: Config) -> Iterator[Problem]:
    """A recipe that shows pictures as another task needs them."""
    choices = config.get("choices") or {}
    task, chosen = str(choices.get("task")), str(choices.get("transforms"))
    fit = fitting.recipes_for_task(task)
    if fit and chosen not in fit and (fitting.CONF / "transforms" / f"{chosen}.yaml").is_file():
        message = f"is a recipe for another task than task={task}; transforms of {task}: {', '.join(fit)}"
        yield Problem("transforms", chosen, message, nearest(chosen, fit))


def _folds(config: Config) -> Iterator[Problem]:
    data = config.get("data")
    if not isinstance(data, Mapping) or "num_folds" not in data:  # without, the folds are those of the data
        return
    fold, count = data.get("fold"), data["num_folds"]
    if not isinstance(fold, int) or fold < 1:
        return
    if count is None:
        yield Problem("data.fold", fold, "there are no folds; say how many with data.num_folds=5")
    elif isinstance(count, int) and fold >= count:
        yield Problem("data.fold", fold, f"must be in [0, {count}), because data.num_folds={count}")


def _measures(config: Config) -> Iterator[Problem]:
    task = config.get("task")
    watched = task.get("monitor") if isinstance(task, Mapping) else None
    for path, value in _walk(config, (), config):
        if not isinstance(value, Mapping) or not isinstance(value.get("monitor"), str):
            continue
        if value["monitor"] == watched and path != ("task",):  # ${task.monitor}: one mistake, not four
            continue
        key, monitor, mode = ".".join(path), value["monitor"], value.get("mode")
        if monitor != MISSING and not _MEASURE.fullmatch(monitor):
            near = nearest(monitor.partition("/")[0], ("train", "val", "test")) if "/" in monitor else ""
            right = f"{near}/{monitor.partition('/')[2]}" if near else ""
            end = f"did you mean {right!r}?" if right else "write it like val/top1"
            yield Problem(
                f"{key}.monitor", monitor, f"a measure is named train/, val/ or test/name; {end}", right
            )
        if isinstance(config.get("measures"), Mapping):
            yield from check_watched(key, value, config["measures"])
        if isinstance(mode, str) and mode not in ("min", "max", MISSING):
            end, right = way_out(mode, ("max", "min"), otherwise="it is one of")
            yield Problem(f"{key}.mode", mode, f"says whether more or less is better; {end}", right)


def _nesterov(config: Config) -> Iterator[Problem]:
    optimizer = config.get("optimizer")
    if not isinstance(optimizer, Mapping) or not optimizer.get("nesterov") or "NAdam" in str(optimizer):
        return
    if not optimizer.get("momentum"):
        yield Problem("optimizer.nesterov", True, "needs optimizer.momentum above 0; 0.9 is usual")
    elif optimizer.get("dampening"):
        yield Problem("optimizer.nesterov", True, "does not go with dampening; set optimizer.dampening=0")
