"""`resume=`: the configuration of an interrupted run, with the few values that may change on the way."""

from dataclasses import replace
from typing import Any

from pipeline.compose import CONF, Composed, problems_of
from pipeline.errors import Mistake
from pipeline.runs import Run, find_run
from pipeline.validate import report

_NAMES_THE_RUN = ("resume", "task", "debug")


def resumed(composed: Composed) -> Composed:
    """The interrupted run's own configuration, under what was typed beside `resume=`.

    Args:
        composed: What the command line composed.

    Returns:
        The configuration to go on with; `settings["resume"]` is the run's whole id.

    Raises:
        Mistake: The run is not there, or a group (model, data, ...) is to change, which would be another run.
    """
    typed = [override.lstrip("+").partition("=") for override in composed.overrides]
    task = next((value for key, _, value in typed if key == "task"), None)
    run = find_run(root=composed.root, name=composed.settings["resume"], task=task, key="resume")
    config = run.config
    for key, _, value in typed:
        if key not in _NAMES_THE_RUN:
            _change(config, key=key, value=value, run=run)
    problems = problems_of(verb="train", config=config)
    if problems:
        raise Mistake(report(problems))
    settings = {**composed.settings, "seed": config["seed"], "resume": run.run_id}
    return replace(composed, config=config, settings=settings)


def _change(config: dict[str, Any], *, key: str, value: str, run: Run) -> None:
    import yaml

    if (CONF / key.partition("@")[0]).is_dir() or key.startswith("~"):
        raise Mistake(
            f"{key}={value}: run {run.run_id[:8]} goes on with its own {key}; leave it out to resume, or "
            "leave out resume= to start a new run"
        )
    *path, last = key.split(".")
    node = config
    for name in path:
        node = node.setdefault(name, {})
    node[last] = yaml.safe_load(value)
