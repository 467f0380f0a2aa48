"""Lines of records in a JSON text, which parsers do not tell."""

import json
import re
from typing import Any, NamedTuple

_SPACE = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


class Found(NamedTuple):
    """A record and the line it begins in, from 1."""

    line: int
    record: Any


def lines_of(text: str, *, key: str, numbers: set[int]) -> dict[int, Found]:
    """Walk through a list of the outermost object.

    It takes about as long as parsing the text, so it is for the broken records of a file only.

    Args:
        text: Valid JSON of an object; NaN and Infinity may stand in it.
        key: Name of the list.
        numbers: Positions of records in the list.
    """
    position = _list_start(text, key)
    found: dict[int, Found] = {}
    line, counted = 1, 0
    for number in range(max(numbers) + 1):
        position = _after_space(text, position)
        record, end = _DECODER.raw_decode(text, position)
        if number in numbers:
            line, counted = line + text.count("\n", counted, position), position
            found[number] = Found(line, record)
        position = end
    return found


def _list_start(text: str, key: str) -> int:
    """Position after the bracket that opens the list; of a key that stands twice the last one counts."""
    position, start = _after_space(text, 0) + 1, -1
    while text[position := _after_space(text, position)] != "}":
        name, position = _DECODER.raw_decode(text, position)
        position = _after_space(text, _after_space(text, position) + 1)  # the colon
        if name == key:
            start = position + 1
        position = _DECODER.raw_decode(text, position)[1]
    assert start >= 0, f"no list {key} in a text that was read before"
    return start


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    assert found is not None  # it matches nothing at all, too
    return found.end()
