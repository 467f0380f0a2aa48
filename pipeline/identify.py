"""`make identify`: who of a gallery is seen in images."""

import sys

from pipeline.compose import Composed, run_verb
from pipeline.image_files import check_images
from pipeline.launch import launch
from pipeline.runs import check_run


def _start(composed: Composed) -> int:
    check_run(root=composed.root, settings=composed.settings)
    check_images(composed.settings["input"])
    return launch(composed)


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="identify", start=_start))


if __name__ == "__main__":
    main()
