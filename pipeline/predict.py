"""`make predict`: a run's predictions for images."""

import sys

from pipeline.compose import Composed, run_verb
from pipeline.launch import launch
from pipeline.painting import check_painter
from pipeline.runs import check_run


def _start(composed: Composed) -> int:
    check_run(root=composed.root, settings=composed.settings)
    check_painter(root=composed.root, settings=composed.settings)
    return launch(composed)


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="predict", start=_start))


if __name__ == "__main__":
    main()
