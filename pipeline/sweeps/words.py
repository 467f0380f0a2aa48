"""What is typed for a sweep, taken apart: words of every job, and words with several values."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from pipeline.errors import Mistake
from pipeline.typed_words import in_full

if TYPE_CHECKING:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Override

_PLAIN = re.compile(r"[\w./:@+-]+")
_READ_AS_SOMETHING_ELSE = re.compile(
    r"[-+]?(\d[\d_]*\.?\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|inf|nan)|true|false|null|none", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A command line of a sweep.

    Attributes:
        fixed: Words that every job is given.
        space: Those with several values, as Hydra has read them, in the order in which they were typed.
    """

    fixed: tuple[str, ...]
    space: "list[Override]"


def taken_apart(words: Sequence[str], *, params: Mapping[str, Any], parser: "OverridesParser") -> Typed:
    """Tell the words with several values from the others.

    Args:
        words: What was typed, without Hydra's own settings.
        params: What files say, by key; what is typed for the same key wins.
        parser: Hydra's, which knows the configuration's files.
    """
    said = [f"{key}={_as_word(value)}" for key, value in _flat(params)]
    overrides = parser.parse_overrides([*in_full(said), *words])
    last = {_key(override): override for override in overrides}
    swept = {key for key, override in last.items() if override.is_sweep_override()}
    fixed = [item for item in overrides if _key(item) not in swept and not item.is_sweep_override()]
    return Typed(
        fixed=tuple(str(item.input_line) for item in fixed), space=[last[key] for key in last if key in swept]
    )


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys in full, whether written `optimizer.lr:` or as a group of values."""
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _key(override: "Override") -> str:
    return str(override.get_key_element()).lstrip("+~")


def values_of(override: "Override") -> list[str]:
    """The words of one key for each of its values, in Hydra's order; a single value is a choice of one.

    Raises:
        Mistake: There are too many to count: an interval.
    """
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise Mistake(
            f"{shown(str(override.input_line))}: an interval has no end of values; list some (a,b,c), or "
            "draw from it with hydra.sweeper.method=random (or tpe, cmaes)"
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def example(space: "Sequence[Override]") -> tuple[str, ...]:
    """One value of each, to see before anything is started whether jobs can be made of them."""
    return tuple(
        values_of(item)[0]
        if item.is_discrete_sweep()
        else f"{item.get_key_element()}={word_of(_lower_end(item))}"
        for item in space
    )


def one_of_each(words: Sequence[str]) -> list[str]:
    """The words with one value where there are several, to compose them without a sweep.

    Args:
        words: As typed; each can be read.
    """
    return [single for word in words for single in (example([_read(word)]) if sweeps(word) else (word,))]


def sweeps(word: str) -> bool:
    """Whether a word has several values."""
    return bool(_read(word).is_sweep_override())


def _read(word: str) -> "Override":
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_override(word)


def _lower_end(override: "Override") -> Any:
    interval: Any = override.value()
    return min(interval.start, interval.end)


def repetitions(repeat: Mapping[str, Any], *, parser: "OverridesParser") -> list[tuple[str, ...]]:
    """What each training of a trial is told beside the trial's own words.

    Args:
        repeat: Values by key: a list, or Hydra's word for several values such as ``range(5)``.
        parser: Hydra's.

    Returns:
        One entry for each training; a single empty one where nothing is repeated.
    """
    words = [_repeated(key, value, parser=parser) for key, value in repeat.items()]
    return [tuple(chosen) for chosen in product(*words)]


def _repeated(key: str, value: Any, *, parser: "OverridesParser") -> list[str]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        found = [f"{key}={word_of(item)}" for item in value]
    else:
        override = parser.parse_override(f"{key}={value}")
        found = values_of(override) if override.is_sweep_override() else []
    if len(found) < 2:
        raise Mistake(
            f"hydra.sweeper.repeat.{key}={value}: give at least two values, such as [0, 1, 2] or range(5)"
        )
    return found


def word_of(value: Any) -> str:
    """A value as Hydra reads it back: texts in quotes where they would be something else."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and not _READ_AS_SOMETHING_ELSE.fullmatch(value)
        return value if plain else quoted(value)
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def quoted(text: str) -> str:
    """A text in quotes that Hydra takes away again, without references being looked up in it."""
    kept = text.replace("${", "\\${")
    # Hydra halves backslashes in front of a quotation mark only.
    kept = re.sub(r'(\\*)"', lambda found: f'{found[1] * 2}\\"', kept)
    return '"{}{}"'.format(kept, "\\" * (len(kept) - len(kept.rstrip("\\"))))


def _as_word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def shown(word: str) -> str:
    """A word as a person types it: ``network=``, not what Hydra calls that."""
    return re.sub(r"^(\w+)@model\.\w+=", lambda found: f"{_SHORT.get(found[1], found[1])}=", word)


_SHORT = {"model": "network"}


def differing(overrides: Sequence[str], *, longest: int = 80) -> str:
    """Words that tell a job from the others, for people.

    Args:
        overrides: Of the job.
        longest: Letters; what is more is cut.
    """
    text = " ".join(shown(word) for word in overrides) or "as it stands"
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def kept_for_jobs(words: Sequence[str]) -> Iterator[str]:
    """Of Hydra's own settings those that a job needs as well: where configuration files are looked for."""
    yield from (word for word in words if word.startswith("hydra.searchpath="))


def environment_words(environment: Mapping[str, str]) -> list[str]:
    """Words by which Hydra sets the environment of a job, where this process cannot.

    What is the same in this environment is inherited, so that a password is not written into a job's file.

    Args:
        environment: Names and values.
    """
    missing = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    return [f"++hydra.job.env_set.{name}={quoted(value)}" for name, value in missing.items()]
