"""What Hydra refuses, said so that a person can put it right: every wrong word at once, with the right one.

Hydra stops at the first key it does not know. Here the same command line is composed once more with what it
refused set aside or let in, so that `validate` sees everything else that is wrong as well.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pipeline import fitting
from pipeline.compose import CONF, compose_plain, problems_of
from pipeline.features import CHOICE, FEATURES, NODE
from pipeline.problems import way_out
from pipeline.sweeps.words import one_of_each, sweeps
from pipeline.typed_words import NETWORK
from pipeline.validate import Problem, nearest, report

_MAY_BE_NULL = ("debug", "experiment", "sweep")
_SEVERAL = "Ambiguous value for argument"


def explain(*, verb: str, words: list[str], error: Exception, folders: list[Path]) -> str:
    """Explain why Hydra could not compose a command line.

    Args:
        verb: Name of the primary configuration.
        words: The overrides, without flags.
        error: What Hydra raised.
        folders: Where configuration files are looked for: the project's, and that of `--config-dir`.

    Returns:
        All mistakes found, or Hydra's own words where none of them can be put better.
    """
    problems: list[Problem] = []
    kept = [word for word in words if not _take(problems, _problem_of_word(word, folders))]
    if str(error).startswith(_SEVERAL):
        problems += [_several(word) for word in kept if sweeps(word)]
    if f"Could not override '{NETWORK}'" in str(error):
        kept = [word for word in kept if not _take(problems, _no_network(word))]
    if f"Could not override '{CHOICE}'" in str(error):
        kept = [word for word in kept if not _take(problems, _no_features(word))]
        kept = [word for word in kept if not word.startswith(f"{NODE}.")]
    try:
        problems += problems_of(
            verb=verb,
            config=compose_plain(verb=verb, overrides=[*_search(folders), *map(_let_in, one_of_each(kept))]),
        )
    except (HydraException, OmegaConfBaseException, YAMLError, OSError) as second:
        error = second if not problems else error
    return report(problems) if problems else _plain(error)


def _take(problems: list[Problem], problem: Problem | None) -> bool:
    if problem is not None:
        problems.append(problem)
    return problem is not None


def _plain(error: Exception) -> str:
    missing = getattr(error, "missing_cfg_file", None)
    if missing:
        group, _, name = str(missing).rpartition("/")
        options = list(getattr(error, "options", None) or [])
        close = nearest(name, options)
        hint = f"did you mean '{close}'?" if close else f"there are {', '.join(options) or 'none'}"
        return f"a file names conf/{group}/{name}.yaml, which is not there; {hint}"
    causes = [str(error), *([str(error.__cause__)] if error.__cause__ else [])]
    return "\n".join(dict.fromkeys(cause.strip() for cause in causes))


def _problem_of_word(word: str, folders: list[Path]) -> Problem | None:
    """What is wrong with one override taken alone: its syntax, or the name of a group's file."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException as error:
        return Problem(key=word.partition("=")[0], value=word, message=_syntax_message(error), suggestion="")
    group = override.key_or_group.partition("@")[0]
    if not any((folder / group).is_dir() for folder in folders) or override.is_delete():
        return None
    if override.get_key_element() == NETWORK:
        return next(_wrong_networks(_choices(override), folders), None)
    return next(_wrong_choices(group, _choices(override), folders), None)


def _wrong_networks(names: list[str], folders: list[Path]) -> Iterator[Problem]:
    """Names of no file at all; whether a file is one of a classifier, its target says later."""
    for problem in _wrong_choices("model", names, folders):
        end, close = way_out(problem.value, fitting.networks(), otherwise="the network is one of")
        message = f"there is no conf/model/{problem.value}.yaml; {end}"
        yield Problem(key="network", value=problem.value, message=message, suggestion=close)


def _no_network(word: str) -> Problem | None:
    """A network for a model that is not built around one: Hydra knows no such choice then."""
    key, _, value = word.partition("=")
    if key != NETWORK:
        return None
    tasks = " or ".join(f"task={task}" for task in fitting.tasks_with_networks())
    message = f"only models of {tasks} are built around a network; leave it out, or choose model={value}"
    return Problem(key="network", value=value, message=message, suggestion="")


def _no_features(word: str) -> Problem | None:
    """Features for a model that judges nothing by them."""
    key, _, value = word.partition("=")
    if key != CHOICE:
        return None
    tasks = " or ".join(f"task={task}" for task in fitting.tasks_with_features())
    message = f"only models of {tasks} judge pictures by features; leave it out"
    return Problem(key=FEATURES, value=value, message=message, suggestion="")


def _several(word: str) -> Problem:
    key, _, value = word.partition("=")
    message = f"several values are several runs: make sweep starts them; a list is written {key}=[{value}]"
    return Problem(key=key, value=value, message=message, suggestion="")


def _syntax_message(error: Exception) -> str:
    reason = str(error).splitlines()[0]
    return f"cannot be read ({reason}); put quotes around values with special characters: 'key=\"a value\"'"


def _choices(override: Any) -> list[str]:
    if override.is_sweep_override():
        return list(override.sweep_string_iterator())
    value = override.value()
    return [str(name) for name in (value if isinstance(value, list) else [value])]


def _wrong_choices(group: str, names: list[str], folders: list[Path]) -> Iterator[Problem]:
    files = sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})
    for name in names:
        if name not in files and not (group in _MAY_BE_NULL and name in ("null", "None")):
            close = nearest(name, files)
            hint = f"did you mean '{close}'? " if close else ""
            message = f"there is no conf/{group}/{name}.yaml; {hint}choose one of {', '.join(files)}"
            yield Problem(key=group, value=name, message=message, suggestion=close)


def _search(folders: list[Path]) -> list[str]:
    others = ",".join(f"file://{folder}" for folder in folders if folder != CONF)
    return [f"hydra.searchpath=[{others}]"] if others else []


def _let_in(word: str) -> str:
    """`key=value` as `++key=value`, unless it chooses a group's file, adds or removes."""
    key = word.partition("=")[0]
    is_group = (CONF / key.partition("@")[0]).is_dir()
    return word if is_group or word[0] in "+~" or key.startswith("hydra.") else f"++{word}"
