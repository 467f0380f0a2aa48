"""`make sweep`: several runs that differ in a few values; the same as `make train` with `--multirun`."""

import re
import sys

from pipeline import train
from pipeline.compose import project_root
from pipeline.errors import EXIT_MISTAKE, Mistake, tell
from pipeline.sweeps.folder import find_sweep

_MULTIRUN = "--multirun"
# Options that only answer something.
_ANSWERS = (
    "-h",
    "--help",
    "--hydra-help",
    "--version",
    "-c",
    "--cfg",
    "-i",
    "--info",
    "-sc",
    "--shell-completion",
)
_RESUME = re.compile(r"resume=(.+)")
_RETRY = re.compile(r"retry_failed=(true|false)")


def words_of(words: list[str]) -> list[str]:
    """The command line of make train that a sweep stands for.

    Args:
        words: What was typed for make sweep.

    Raises:
        Mistake: The sweep that is to go on is not there, or more was typed.
    """
    named = [found[1] for word in words if (found := _RESUME.fullmatch(word)) and found[1] != "null"]
    if named:
        return [*_going_on(named[-1], words=words), _MULTIRUN]
    answers = any(word.partition("=")[0] in _ANSWERS for word in words)
    return words if answers or _MULTIRUN in words or "-m" in words else [*words, _MULTIRUN]


def _going_on(name: str, *, words: list[str]) -> list[str]:
    sweep = find_sweep(root=project_root(), name=name, key="resume")
    others = [word for word in words if not _RESUME.fullmatch(word) and word not in (_MULTIRUN, "-m")]
    retries = [f"hydra.sweeper.{word}" for word in others if _RETRY.fullmatch(word)]
    strangers = [word for word in others if not _RETRY.fullmatch(word)]
    if strangers:
        raise Mistake(
            f"{' '.join(strangers)}: a sweep goes on with its own words; leave it out (beside resume= there "
            "may stand retry_failed=true), or leave out resume= to start a new sweep"
        )
    facts = sweep.facts
    # In quotes, because an id such as 12345678 or 1e5 is no number.
    own = [f'hydra.sweeper.resume="{sweep.sweep_id}"', *retries]
    return [*facts.get("flags", []), *facts["words"], *own]


def main() -> None:
    """Hand on to make train, as several runs."""
    try:
        sys.argv[1:] = words_of(sys.argv[1:])
    except Mistake as mistake:
        tell(str(mistake))
        sys.exit(EXIT_MISTAKE)
    train.main()


if __name__ == "__main__":
    main()
