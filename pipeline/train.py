"""`make train`: one training run, from data to tested weights."""

import sys

from pipeline.compose import Composed, run_verb
from pipeline.launch import launch
from pipeline.resume import resumed


def _start(composed: Composed) -> int:
    return launch(resumed(composed) if composed.settings["resume"] else composed)


def main() -> None:
    """Compose, validate, then train in a process of its own."""
    sys.exit(run_verb(verb="train", start=_start))


if __name__ == "__main__":
    main()
