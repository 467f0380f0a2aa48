"""`make train`: one training run, from data to tested weights."""

import sys

from pipeline.compose import Composed, run_verb
from pipeline.features import check_features
from pipeline.launch import launch
from pipeline.resume import resumed


def _start(composed: Composed) -> int:
    if composed.settings["resume"]:
        return launch(resumed(composed))
    check_features(root=composed.root, config=composed.config)
    return launch(composed)


def main() -> None:
    """Compose, validate, then train in a process of its own."""
    sys.exit(run_verb(verb="train", start=_start))


if __name__ == "__main__":
    main()
