"""`make data`: what a data set holds, and every broken record in it."""

import sys

from pipeline.compose import run_verb
from pipeline.launch import launch


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="data", start=launch))


if __name__ == "__main__":
    main()
