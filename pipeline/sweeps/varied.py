"""What a sweep varied: the keys whose values differ between its trials, and the scale of each."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.sweeps import words
from pipeline.sweeps.jobs import Result

Value = float | int | str
Scale = Literal["linear", "log", "category"]

WIDE = 20.0
"""Positive numbers whose largest is so many times the smallest are compared by their logarithms."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One key of the configuration, or one measure, over the trials.

    Attributes:
        name: Of the key, such as ``optimizer.lr``.
        values: One for each trial; None where the trial says nothing of it.
        scale: On which distances between values mean something.
    """

    name: str
    values: tuple[Value | None, ...]
    scale: Scale


def values_of(overrides: Iterable[str]) -> dict[str, Value]:
    """Keys and values of words such as ``optimizer.lr=0.01``; the last word on a key counts.

    Args:
        overrides: As Hydra reads them.

    Returns:
        Numbers as numbers, everything else as a person would type it.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return {override.get_key_element().lstrip("+~"): _plain(override.value()) for override in parsed}


def _plain(value: Any) -> Value:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return value if isinstance(value, float | int) else str(value)


def axes_of(results: Sequence[Result], *, space: Mapping[str, str]) -> list[Axis]:
    """The keys that differ between trials, in the order in which they were typed.

    Args:
        results: Of the trials.
        space: What was searched: keys with Hydra's words for several values; may be empty.

    Returns:
        An axis for each key; none where no two trials differ.
    """
    rows = [values_of(result.trial.overrides) for result in results]
    columns = {key: tuple(row.get(key) for row in rows) for row in rows for key in row}
    return [
        Axis(name=key, values=values, scale=_scale(values, searched=space.get(key, "")))
        for key, values in columns.items()
        if len(set(values)) > 1
    ]


def _scale(values: Sequence[Value | None], *, searched: str) -> Scale:
    numbers = [value for value in values if isinstance(value, float | int)]
    if len(numbers) < len(values):
        return "category"
    return (
        "log" if min(numbers) > 0 and ("log" in searched or max(numbers) > WIDE * min(numbers)) else "linear"
    )


def objective_axis(results: Sequence[Result], name: str) -> Axis:
    """The values of an objective; None where a trial has none."""
    return Axis(name=name, values=tuple(result.values.get(name) for result in results), scale="linear")


def shown(value: Value | None) -> str:
    """A value as a label: three figures of a number, nothing where there is none."""
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def number(value: Value | None) -> float:
    """A value as a number; NaN where it is none."""
    return float(value) if isinstance(value, float | int) else math.nan


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Each key by its last parts, as many as it takes to tell it from the others: `optimizer.lr` is `lr`."""
    every = list(keys)
    return {key: _shortest(key, others=[other for other in every if other != key]) for key in every}


def brief(overrides: Iterable[str], *, longest: int = 80) -> str:
    """Words that tell a trial from the others, as a name: `lr=0.00353 batch_size=64`.

    Args:
        overrides: Of the trial.
        longest: Letters; what is more is cut.
    """
    values = values_of(words.shown(word) for word in overrides)
    keys = short_keys(values)
    text = " ".join(f"{keys[key]}={shown(value)}" for key, value in values.items()) or "as it stands"
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _shortest(key: str, *, others: Sequence[str]) -> str:
    parts = key.split(".")
    ends = [".".join(parts[first:]) for first in range(len(parts) - 1, -1, -1)]
    return next((end for end in ends if not any(f".{other}".endswith(f".{end}") for other in others)), key)
