"""`make evaluate`: the measures of a run on one of its splits."""

import sys
from dataclasses import replace

from pipeline.compose import Composed, run_verb
from pipeline.launch import launch
from pipeline.runs import WHOLE_ID, check_run, find_run


def _start(composed: Composed) -> int:
    check_run(root=composed.root, settings=composed.settings)
    return launch(_of_one_run(composed))


def _of_one_run(composed: Composed) -> Composed:
    """With several processes each looks for the run: the same one, also if another begins meanwhile."""
    settings = composed.settings
    if settings["devices"] == 1 or settings["checkpoint"] is not None or WHOLE_ID.fullmatch(settings["run"]):
        return composed
    run = find_run(root=composed.root, name=settings["run"], task=settings["task_name"], trained=True)
    return replace(composed, settings={**settings, "run": run.run_id})


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="evaluate", start=_start))


if __name__ == "__main__":
    main()
