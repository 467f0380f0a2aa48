"""`make models`: every model with its size, cost, source and paper."""

import sys

from pipeline.compose import run_verb
from pipeline.launch import launch


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="models", start=launch))


if __name__ == "__main__":
    main()
