"""Broken records of annotation files: where they are, what is wrong, and how people hear of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

_SHOWN = 10  # problems named in one message


class Place(NamedTuple):
    """Where a record stands.

    Attributes:
        file: Path of the annotation file, or of the picture.
        line: Line in it, from 1; None where a line means nothing.
        record: What the record is called there, such as ``annotations[17] (id 42)``.
    """

    file: str
    line: int | None
    record: str


class Problem(NamedTuple):
    """One broken record.

    Attributes:
        place: Where it stands.
        problem: What is wrong with it.
    """

    place: Place
    problem: str

    def __str__(self) -> str:
        line = "" if self.place.line is None else f":{self.place.line}"
        record = f" {self.place.record}:" if self.place.record else ""
        return f"{self.place.file}{line}:{record} {self.problem}"

    def plain(self) -> dict[str, Any]:
        """The same as plain values."""
        return {**self.place._asdict(), "problem": self.problem}


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """By file and line, as a person goes through them to correct them."""
    return sorted(problems, key=lambda found: (found.place.file, found.place.line or 0))


def num_records(problems: Sequence[Problem]) -> int:
    """Number of records that have a problem; some have more than one."""
    return len({found.place for found in problems})


class BrokenRecords(ValueError):
    """Data that cannot be trained on; the message has the first ten problems and the number of all.

    Args:
        problems: At least one; all of them.
        title: Name of the data set.
        way_out: What a person can do.
        skip_helps: Whether ``data.on_error=skip`` leaves all of them out.
    """

    def __init__(
        self, problems: Sequence[Problem], *, title: str, way_out: str, skip_helps: bool = True
    ) -> None:
        self.title, self.problems, self.skip_helps = title, in_order(problems), skip_helps
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        count = num_records(problems)
        head = f"{title} has {count} broken record{'s' if count > 1 else ''}:"
        super().__init__("\n".join([head, *map(str, self.problems[:_SHOWN]), *more, way_out]))
