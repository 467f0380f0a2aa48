"""`make verify`: whether two images show the same."""

import sys

from pipeline.compose import Composed, run_verb
from pipeline.image_files import image_file
from pipeline.launch import launch
from pipeline.runs import check_run


def _start(composed: Composed) -> int:
    check_run(root=composed.root, settings=composed.settings)
    for key in ("a", "b"):
        image_file(key, composed.settings[key])
    return launch(composed)


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="verify", start=_start))


if __name__ == "__main__":
    main()
