"""`make register`: a run's network under a name in MLflow's registry."""

import sys
from dataclasses import replace

from pipeline.compose import Composed, run_verb
from pipeline.errors import Mistake
from pipeline.launch import launch
from pipeline.registry import check_alias, check_name
from pipeline.runs import WHOLE_ID, Run, find_run
from pipeline.tracking_identity import load_identity


def _start(composed: Composed) -> int:
    """Hand the worker a whole id: `latest` may soon be another run."""
    settings = composed.settings
    check_name(settings["name"])
    check_alias(settings["alias"])
    _check_tags(settings["tags"] or [])
    found = _found(composed)
    if found is not None:
        _check_told(found)
    run_id = found.run_id if found else settings["run"]
    return launch(replace(composed, settings={**settings, "run": run_id}))


def _check_tags(tags: list[str]) -> None:
    wrong = next((tag for tag in tags if not tag.partition("=")[0] or "=" not in tag), None)
    if wrong is not None:
        raise Mistake(f"tags=[{','.join(tags)}]: {wrong} is no tag; tags=[stage=trial,owner=Ada]")


def _found(composed: Composed) -> Run | None:
    """The run that a person means; None where the MLflow server alone may know it, by its whole id."""
    name = composed.settings["run"]
    try:
        return find_run(root=composed.root, name=name, task=composed.settings["task_name"], trained=True)
    except Mistake:
        if not WHOLE_ID.fullmatch(name):
            raise
        return None


def _check_told(run: Run) -> None:
    # Without an identity it was fetched from the server, or MLflow never heard of it.
    if load_identity(run.folder) is None and "run_id" not in (run.config.get("logger") or {}):
        raise Mistake(
            f"run={run.run_id[:8]}: MLflow knows nothing of this run, which was trained with another logger; "
            "take one that was trained with logger=mlflow"
        )


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="register", start=_start))


if __name__ == "__main__":
    main()
