"""`resume=`: the configuration of an interrupted run, with the few values that may change on the way."""

from dataclasses import replace
from typing import Any

from pipeline.averaging import check_resumable
from pipeline.compose import Composed, problems_of, settings_of
from pipeline.errors import Mistake
from pipeline.joining import refuse_ensemble
from pipeline.runs import find_run
from pipeline.validate import report

_NAMES_THE_RUN = ("resume", "task", "debug")
# How long it goes on and where, not what it is: everything else would be another run.
_MAY_CHANGE = ("trainer.", "callbacks.", "logger.", "data.num_workers", "data.data_dir", "compile")


def resumed(composed: Composed) -> Composed:
    """The interrupted run's own configuration, under what was typed beside `resume=`.

    Args:
        composed: What the command line composed.

    Returns:
        The configuration to go on with; `settings["resume"]` is the run's whole id.

    Raises:
        Mistake: The run is not there, or something is to change that would make it another run.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(composed.overrides)
    typed = {_as_typed(item): item for item in parsed}
    task = str(typed["task"].value()) if "task" in typed else None
    run = find_run(root=composed.root, name=composed.settings["resume"], task=task, key="resume")
    refuse_ensemble(run, verb="train")
    config = run.config
    for key, override in typed.items():
        if key not in _NAMES_THE_RUN:
            _change(config, key=key, value=override.value())
    check_resumable(run, config)
    problems = problems_of(verb="train", config=config)
    if problems:
        raise Mistake(report(problems))
    # The run's own, and not those of this command line; a run from before there were some has fewer.
    settings = {**settings_of(verb="train", config=config), "resume": run.run_id}
    return replace(composed, config=config, settings=settings)


def _as_typed(override: Any) -> str:
    """The key as a person knows it: a file inside the model is chosen by `network=` or `features=`."""
    is_network = override.package is not None and override.key_or_group == "model"
    return "network" if is_network else str(override.key_or_group)


def _change(config: dict[str, Any], *, key: str, value: Any) -> None:
    if not key.startswith(_MAY_CHANGE):
        raise Mistake(
            f"{key}={value}: a resumed run goes on with its own {key}; what may change is "
            f"{' '.join(_MAY_CHANGE)}; leave it out, or leave out resume= to start a new run"
        )
    *path, last = key.split(".")
    node: Any = config
    for name in path:
        node = node.get(name)
        if not isinstance(node, dict):
            raise Mistake(f"{key}={value}: the run has no {key} to change; leave it out")
    node[last] = value
