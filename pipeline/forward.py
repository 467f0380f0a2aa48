"""From make to a verb: hand on what a person typed, letter by letter.

make keeps ``key=value`` words in its variable MAKEFLAGS. Writing them into a recipe would send them through
a shell, which breaks on quotes, parentheses and ``$``; so this reads the variable, which the Makefile exports
as PIPELINE_FLAGS, and replaces itself by ``python -m <module> <words>``. Standard library only, because it
stands before every command.
"""

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

_OWN = ("ARGS", "PYTHON")  # variables of the Makefile itself
_MAKES = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PIPELINE_FLAGS", "PIPELINE_DELETIONS", *_OWN)
_ASSIGNMENT = re.compile(r"(?P<name>[^=]*?)(?P<operator>:{1,3}=|[+!?]=)(?P<value>.*)", re.DOTALL)


class UnusableWordError(ValueError):
    """A word that make changed, or that cannot be taken apart."""


def split_flags(flags: str) -> list[str]:
    r"""Take MAKEFLAGS apart into words.

    Args:
        flags: As make writes it: a backslash before blanks and backslashes inside a word, ``$`` doubled.

    Returns:
        The words with the quoting taken off, in the order of ``flags``.
    """
    words: list[str] = []
    word: str | None = None
    letters = iter(flags.replace("$$", "$"))
    for letter in letters:
        if letter in " \t":
            words += [word] if word is not None else []
            word = None
        else:
            word = (word or "") + (next(letters, "") if letter == "\\" else letter)
    return [*words, word] if word is not None else words


def assignments(flags: str) -> list[str]:
    """Find the ``key=value`` words among make's flags.

    Args:
        flags: The variable MAKEFLAGS.

    Returns:
        The words behind ``--``, first typed first; make lists the last one first.
    """
    words = split_flags(flags)
    return words[words.index("--") + 1 :][::-1] if "--" in words else []


def refuse_operators(words: Sequence[str]) -> None:
    """Refuse words in which make understands more than an equals sign.

    Args:
        words: Words as they were typed.

    Raises:
        UnusableWordError: If one reads ``key+=value``, ``key:=value``, ``key?=value`` or ``key!=command``.
    """
    for word in words:
        found = _ASSIGNMENT.fullmatch(word)
        if not found or word.startswith("-") or _key(word) in _OWN:
            continue
        key, operator, value = found["name"], found["operator"], found["value"]
        does = "runs the value as a command" if operator == "!=" else "takes it for itself and changes it"
        raise UnusableWordError(
            f"{word}: make understands {operator!r} and {does}; write '{key}={value}', "
            f"'+{key}={value}' for a key that is not there yet, or put the word into ARGS"
        )


def arguments(environment: Mapping[str, str], typed: Sequence[str]) -> list[str]:
    """Collect what the verb is to be given.

    Args:
        environment: Environment variables of the recipe.
        typed: The command line of make as far as it is known; gives the order of the words.

    Returns:
        Words ``key=value`` and ``~key`` in the order they were typed, then those of ARGS.

    Raises:
        UnusableWordError: If make changed a word, or the quotes in ARGS do not match.
    """
    given = assignments(environment.get("PIPELINE_FLAGS", ""))
    refuse_operators([*typed, *given])
    own = dict(word.split("=", 1) for word in given if _key(word) in _OWN)
    words = [word for word in given if _key(word) not in _OWN]
    words += environment.get("PIPELINE_DELETIONS", "").split()
    position = {_key(word): number for number, word in enumerate(typed)}
    words.sort(key=lambda word: position.get(_key(word), -1 if "=" in word else len(typed)))
    return [*words, *_split_quoted(own.get("ARGS", environment.get("ARGS", "")))]


def _key(word: str) -> str:
    return word.partition("=")[0].strip()


def _split_quoted(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UnusableWordError(f"ARGS={text}: {error}; close the quotes as in a shell") from error


def command_line_of_make() -> list[str]:
    """The words that make was started with, where the system tells (Linux); else none.

    MAKEFLAGS no longer shows that a person wrote ``x+=1`` or ``x!=command``; the command line does.
    """
    try:
        words = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []
    decoded = [os.fsdecode(word) for word in words]
    return decoded[1:] if decoded and "make" in Path(decoded[0]).name else []


def main() -> NoReturn:
    """Replace this process by ``python -m <module> <fixed arguments> <what the person typed>``."""
    module, *fixed = sys.argv[1:]
    try:
        words = arguments(os.environ, command_line_of_make())
    except UnusableWordError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    environment = {name: value for name, value in os.environ.items() if name not in _MAKES}
    os.execve(sys.executable, [sys.executable, "-m", module, *fixed, *words], environment)


if __name__ == "__main__":
    main()
