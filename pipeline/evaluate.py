"""`make evaluate`: the measures of a run on one of its splits."""

import sys

from pipeline.compose import run_verb
from pipeline.launch import launch


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="evaluate", start=launch))


if __name__ == "__main__":
    main()
