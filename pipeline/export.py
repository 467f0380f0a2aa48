"""`make export`: a run's network as one file that runs without this project."""

import sys

from pipeline.compose import Composed, run_verb
from pipeline.export_paths import check_output
from pipeline.launch import launch
from pipeline.runs import check_run


def _start(composed: Composed) -> int:
    settings = composed.settings
    check_run(root=composed.root, settings=settings)
    if settings["output"] is not None:
        check_output(settings["output"], format=settings["format"], overwrite=settings["overwrite"])
    return launch(composed)


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="export", start=_start))


if __name__ == "__main__":
    main()
