"""The way into every verb: Hydra composes, `validate` judges, and only then something heavy starts."""

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import EXIT_MISTAKE, Mistake, tell
from pipeline.plugins import register_plugins
from pipeline.registry import with_run_ids
from pipeline.sweeps.carrying import carried
from pipeline.typed_words import (
    in_full,
    overrides_last,
    text_settings,
    texts_as_typed,
    with_quotes,
    with_quotes_inside,
)

if TYPE_CHECKING:
    from pipeline.validate import Problem

# 128 and the numbers of SIGINT, SIGTERM and SIGUSR1.
_STOPPED = (130, 143, 138)

PROJECT = Path(__file__).resolve().parents[1]
CONF = PROJECT / "conf"

SWEEPS = "train"
"""The verb whose several values are a sweep of ours."""


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A valid configuration.

    Attributes:
        verb: Name of the command, which is the name of its file in conf/ and in pipeline/.
        config: The configuration as plain dicts, lists, strings and numbers, every reference resolved.
        settings: Those values at its top that are arguments of `pipeline.work.<verb>.run`.
        overrides: What the person typed, as Hydra read it.
        root: Folder that holds outputs/, the MLflow database and data/.
        show_traceback: Whether errors come with a traceback (`debug=true`).
    """

    verb: str
    config: dict[str, Any]
    settings: dict[str, Any]
    overrides: list[str]
    root: Path
    show_traceback: bool


def project_root() -> Path:
    """The folder of the clone, or the current one where the package was installed without its clone."""
    chosen = os.environ.get("PIPELINE_ROOT")
    if chosen:
        return Path(chosen).resolve()
    return PROJECT if (PROJECT / "pyproject.toml").exists() else Path.cwd()


def run_verb(*, verb: str, start: Callable[[Composed], int]) -> int:
    """Compose the configuration of a verb from the command line and start it.

    Args:
        verb: Name of the primary configuration in conf/.
        start: Receives the valid configuration, returns the exit code.

    Returns:
        The exit code: 2 where the configuration cannot be used, else what `start` returned.
    """
    show_traceback = "debug=true" in sys.argv
    _prepare_process(verb)
    codes: list[int] = []
    of_sweep: list[int] = []

    def task_function(config: Any) -> int:
        # Not raised: Hydra would put lines of its own around it, and end a sweep at its first mistake.
        try:
            codes.append(start(_checked(verb=verb, composed=config, show_traceback=show_traceback)))
            if codes[-1] in _STOPPED:
                raise KeyboardInterrupt  # ends a sweep too, instead of only this job of it
        except Mistake as mistake:
            codes.append(EXIT_MISTAKE)
            _show(mistake, show_traceback=show_traceback)
        except OSError as error:
            codes.append(EXIT_MISTAKE)
            _show(Mistake(str(error)), show_traceback=show_traceback)
        return codes[-1]

    try:
        if verb == SWEEPS:
            register_plugins(ended=of_sweep.append)
            sys.argv[1:] = carried(sys.argv[1:], root=project_root())
        _hydra_main(verb=verb, task_function=task_function)
    except KeyboardInterrupt:
        return codes[-1] if codes else _STOPPED[0]
    except Mistake as mistake:
        _show(mistake, show_traceback=show_traceback)
        return EXIT_MISTAKE
    except Exception as error:
        if not is_refusal(error):
            raise
        words = list(_given().overrides)
        _show(Mistake(explained(verb=verb, words=words, error=error)), show_traceback=show_traceback)
        return EXIT_MISTAKE
    return max(of_sweep or codes, default=0)


def _show(mistake: Mistake, *, show_traceback: bool) -> None:
    from pipeline.ranks import follows_from_outside

    if follows_from_outside():
        return  # the first of several processes has the same mistake, and says so
    if show_traceback:
        traceback.print_exc()
    tell(str(mistake))


def _prepare_process(verb: str) -> None:
    # With full errors Hydra raises instead of printing and exiting with 1, so that we can say it better.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    os.environ["PIPELINE_ROOT"] = str(project_root())
    # `debug` is a group, and Hydra refuses a boolean as the name of a group's file.
    sys.argv[1:] = ['debug="true"' if word == "debug=true" else word for word in sys.argv[1:]]
    lists = text_settings(verb, of="list[str]")
    sys.argv[1:] = [with_quotes_inside(word, lists=lists) for word in sys.argv[1:]]
    if "task" not in groups_of(verb):
        # And it takes every key that is also a folder of conf/ for the choice of a file.
        sys.argv[1:] = [re.sub("^(task|sweep)=", r"\1_name=", word) for word in sys.argv[1:]]
        sys.argv[1:] = [with_quotes(word, texts=text_settings(verb)) for word in sys.argv[1:]]
    else:
        sys.argv[1:] = in_full(sys.argv[1:])
    sys.argv[1:] = overrides_last(sys.argv[1:])


def _hydra_main(*, verb: str, task_function: Callable[[Any], int]) -> None:
    import hydra

    # Hydra names the job after the module of its function.
    task_function.__module__ = f"pipeline.{verb}"
    hydra.main(version_base="1.3", config_path=str(CONF), config_name=verb)(task_function)()


def _checked(*, verb: str, composed: Any, show_traceback: bool) -> Composed:
    """Turn Hydra's configuration into plain values and refuse it whole if anything in it is wrong."""
    from hydra.core.hydra_config import HydraConfig

    overrides = list(HydraConfig.get().overrides.task)
    config = valid(verb=verb, composed=composed, overrides=overrides)
    return Composed(
        verb=verb,
        config=config,
        settings=with_run_ids(settings_of(verb=verb, config=config), root=project_root()),
        overrides=overrides,
        root=project_root(),
        show_traceback=show_traceback or bool(config.get("show_traceback")),
    )


def valid(*, verb: str, composed: Any, overrides: list[str]) -> dict[str, Any]:
    """A configuration as plain values.

    Args:
        verb: Name of the primary configuration.
        composed: Hydra's, without its own part.
        overrides: What it was composed by.

    Raises:
        Mistake: Something in it is wrong; all of it is said.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from pipeline.validate import report

    try:
        plain = OmegaConf.to_container(composed, resolve=True, throw_on_missing=False)
    except OmegaConfBaseException as error:
        raise Mistake(_broken_reference(error, composed)) from error
    assert isinstance(plain, dict)
    config = {str(key): value for key, value in plain.items()} | texts_as_typed(
        verb=verb, overrides=overrides
    )
    problems = problems_of(verb=verb, config=config)
    if problems:
        raise Mistake(report(problems))
    return config


def _broken_reference(error: Any, composed: Any) -> str:
    """`${data.imag_size}` in a file, said with the key it stands at and the word it should be."""
    from omegaconf import OmegaConf

    from pipeline.validate import nearest

    first = str(error).splitlines()[0]
    found = re.search(r"key '([\w.]+)' not found", first)
    node, _, last = found.group(1).rpartition(".") if found else ("", "", "")
    siblings = OmegaConf.select(composed, node) if node else composed
    near = nearest(last, map(str, siblings)) if last and OmegaConf.is_dict(siblings) else ""
    right = f"; did you mean '{node}.{near}'?" if near else ""
    return f"{getattr(error, 'full_key', '')}: {first}{right}"


def compose_plain(*, verb: str, overrides: list[str]) -> dict[str, Any]:
    """Compose a verb's configuration without its command line; for explanations and tests.

    Args:
        verb: Name of the primary configuration in conf/.
        overrides: As on the command line.

    Returns:
        Plain values with every reference resolved; `???` where a value is missing.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf, open_dict

    os.environ.setdefault("PIPELINE_ROOT", str(project_root()))
    with _own_hydra(), initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        config = compose(config_name=verb, overrides=in_full(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        with open_dict(config):
            del config["hydra"]
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Let something be composed while a sweep is: Hydra knows one command line at a time."""
    from hydra.core.global_hydra import GlobalHydra

    of_sweep = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = of_sweep


def compose_file(group: str, name: str) -> dict[str, Any]:
    """One file of a group by itself, with the files that it is put together from.

    What it says of the rest of a run, such as which data it is trained on, is left out.

    Args:
        group: Folder of conf/, such as `model`.
        name: Name of the file in it.

    Returns:
        Plain values with every reference resolved.
    """
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        composed = compose(config_name=f"{group}/{name}", overrides=_without_the_rest(group, name))
        plain = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain[group].items()}


def _without_the_rest(group: str, name: str) -> list[str]:
    """Hydra's word for leaving out the file of conf/training that a file brings, where it brings one."""
    entries = _read(CONF / group / f"{name}.yaml").get("defaults", [])
    return [f"~{key.lstrip('/')}" for entry in entries for key in entry if key == "/training@_global_"]


def problems_of(*, verb: str, config: Mapping[str, Any]) -> "list[Problem]":
    """Every mistake in a resolved configuration.

    The plain values at the top of a verb's file are arguments of its `pipeline.work.<verb>.run`, so they are
    held against that signature like every other node of the configuration.
    """
    from pipeline.validate import find_problems

    settings = settings_of(verb=verb, config=config)
    nodes = {key: value for key, value in config.items() if key not in settings}
    # Partial, because the worker adds what only it knows.
    own = f"({verb})"  # no key that a group could have: `data` is a verb and a group
    nodes[own] = {"_target_": f"pipeline.work.{verb}.run", "_partial_": True, **settings}
    problems = find_problems(nodes, top_level=top_level_keys(verb) | {own})
    return [*_without_header(config), *(_as_typed(problem, own) for problem in problems)]


def _as_typed(problem: "Problem", own: str) -> "Problem":
    """Without the name that the verb's own values were checked under."""
    return replace(
        problem, key=problem.key.removeprefix(f"{own}."), message=problem.message.replace(f"{own}.", "")
    )


def _without_header(config: Mapping[str, Any]) -> "list[Problem]":
    """Files of overrides whose values went nowhere, because they do not say that they are for the whole."""
    from pipeline.validate import Problem

    message = "its file must begin with the line '# @package _global_', or its values go nowhere"
    return [
        Problem(group, config[group], message)
        for group in ("local", "experiment", "debug", "sweep")
        if isinstance(config.get(group), dict)
    ]


def settings_of(*, verb: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The values at the top of a verb's configuration that belong to no group."""
    keys = _own_keys(CONF / f"{verb}.yaml") & config.keys()
    return {key: config[key] for key in sorted(keys) if not isinstance(config[key], dict)}


def top_level_keys(verb: str) -> set[str]:
    """The keys that may stand at the top of a verb's configuration: its own and those of its groups."""
    keys = groups_of(verb) | _own_keys(CONF / f"{verb}.yaml") | {"show_traceback"}
    if "task" in keys:
        for path in sorted((CONF / "task").glob("*.yaml")):
            keys |= _groups(path) | _own_keys(path)
    return keys


def groups_of(verb: str) -> set[str]:
    """The configuration groups that a verb's file lists in its defaults."""
    return _groups(CONF / f"{verb}.yaml")


def _own_keys(path: Path) -> set[str]:
    return {str(key) for key in _read(path) if key != "defaults"}.union(
        *(_own_keys(included) for included in _included(path))
    )


def _groups(path: Path) -> set[str]:
    entries = [next(iter(entry)) for entry in _read(path).get("defaults", []) if isinstance(entry, dict)]
    own = {str(entry).split()[-1].lstrip("/").partition("@")[0] for entry in entries}
    return own.union(*(_groups(included) for included in _included(path)))


def _included(path: Path) -> list[Path]:
    """The primary files that another one starts from, such as `- train` in browse.yaml."""
    names = [entry for entry in _read(path).get("defaults", []) if isinstance(entry, str)]
    return [path.with_name(f"{name}.yaml") for name in names if name != "_self_"]


@cache
def _read(path: Path) -> dict[str, Any]:
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def is_refusal(error: Exception) -> bool:
    """Whether Hydra, OmegaConf or YAML refused the configuration, as opposed to a bug."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    # Hydra has no error of its own for `model=null`.
    is_null_group = isinstance(error, ValueError) and "Config group override" in str(error)
    return is_null_group or isinstance(error, HydraException | OmegaConfBaseException | YAMLError | OSError)


def explained(*, verb: str, words: list[str], error: Exception) -> str:
    """What Hydra refused, said so that a person can put it right.

    Args:
        verb: Name of the primary configuration.
        words: What could not be composed.
        error: What Hydra said.
    """
    from pipeline.diagnose import explain

    folder = _given().config_dir
    own = [Path(folder).resolve()] if folder else []
    return explain(verb=verb, words=words, error=error, folders=[*own, CONF])


def _given() -> Any:
    """The command line as Hydra takes it apart."""
    from hydra._internal.utils import get_args_parser

    return get_args_parser().parse_args()
