"""What is wrong with a configuration, in words a person can act on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

MISSING = "???"
"""How YAML files write a value that somebody must still give."""

_LONGEST_VALUE = 60
_ALIKE = 0.6  # difflib's own advice for "close enough"
_INITIALS = 0.9


@dataclass(frozen=True)
class Problem:
    """One mistake in a configuration.

    Attributes:
        key: Dotted path of the value, such as ``trainer.max_epoch``.
        value: What stands there; ``???`` where nothing does.
        message: What is wrong with it, and the way out.
        suggestion: The nearest right word, empty where there is none.
    """

    key: str
    value: Any
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        return f"{self.key}={shorten(self.value)}: {self.message}"


def report(problems: Sequence[Problem]) -> str:
    """Write all problems as one block for the terminal.

    Args:
        problems: At least one.

    Returns:
        A heading and one line for each problem, without a final line break.
    """
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join(
        [f"{count} in the configuration; nothing was started:", *(f"  {item}" for item in problems)]
    )


def shorten(value: Any) -> str:
    """Write a value as in an override, cut where it would fill the line."""
    text = value if isinstance(value, str) else "null" if value is None else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Find the right word for a misspelt one.

    Args:
        word: What was typed.
        candidates: The words that would be right.

    Returns:
        The most similar candidate, upper and lower case taken as equal and initials understood
        (``learning_rate`` finds ``lr``), or an empty string where none is similar.
    """
    scored = [(_likeness(word.lower(), candidate.lower()), candidate) for candidate in candidates]
    alike = [(score, _likeness(word, candidate), candidate) for score, candidate in scored if score >= _ALIKE]
    # Of equally good ones the one in the same case, then the first.
    return max(alike, key=lambda entry: entry[:2])[2] if alike else ""


def _likeness(word: str, candidate: str) -> float:
    if candidate == _initials(word) or word == _initials(candidate):
        return _INITIALS
    matcher = SequenceMatcher(None, word, candidate, autojunk=False)
    return (
        matcher.ratio() if matcher.real_quick_ratio() >= _ALIKE and matcher.quick_ratio() >= _ALIKE else 0.0
    )


def _initials(name: str) -> str:
    parts = name.split("_")
    return "".join(part[:1] for part in parts) if len(parts) > 1 else ""


def way_out(word: str, candidates: Iterable[str], *, otherwise: str) -> tuple[str, str]:
    """Say what to write instead of a word.

    Args:
        word: What was typed.
        candidates: The words that would be right, in a good order to read.
        otherwise: How to call them where none is near, such as ``its arguments are``.

    Returns:
        The end of a message, and the nearest word alone (empty where there is none).
    """
    words = list(candidates)
    suggestion = nearest(word, words)
    if suggestion:
        return f"did you mean {suggestion!r}?", suggestion
    return (f"{otherwise} {', '.join(words)}" if words else "leave it out"), ""
