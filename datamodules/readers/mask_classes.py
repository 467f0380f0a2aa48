"""Which classes masks have: as the configuration says, or as they are found in the files."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from datamodules.batch import IGNORED
from datamodules.palettes import check_palette, voc_palette
from datamodules.readers.class_names import check_unique
from datamodules.readers.mask_files import COLOUR, Legend, colour_code
from datamodules.readers.mask_survey import Survey
from datamodules.readers.segmented import MOST_CLASSES

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What is known of the classes before a mask is read.

    Attributes:
        names: C names in the order of the class ids; None numbers the classes.
        palette: C colours, RGB, which colour masks have; None for masks of values only.
        values: C values that stand for the classes in index and grey masks; None means 0, 1, 2 and so on.
        ignored: Values, or colours, that do not count.
        shown: C colours to draw the classes in; None takes the palette, or PASCAL VOC's.
    """

    names: Sequence[str] | None = None
    palette: Sequence[Sequence[int]] | None = None
    values: Sequence[int] | None = None
    ignored: Sequence[int | Sequence[int]] = (IGNORED,)
    shown: Sequence[Sequence[int]] | None = None


@dataclass(frozen=True, kw_only=True)
class Classes:
    """The classes of a data set.

    Attributes:
        names: C names in the order of the class ids.
        palette: C colours to draw them in, RGB.
        legend: Which values and colours stand for them.
        meanings: See `meanings_of`.
    """

    names: Sequence[str]
    palette: Sequence[Sequence[int]]
    legend: Legend
    meanings: Mapping[int, int]


def meanings_of(said: Said) -> Mapping[int, int]:
    """What colours and indices mean, with which PNGs with a palette are read; see `mask_files.read_codes`.

    Returns:
        Class id, or 255, by code; empty where indices mean the same whatever their colours.
    """
    if said.palette is None or said.values is not None:
        return {}
    meanings = {_code(value): IGNORED for value in said.ignored} | {i: i for i in range(len(said.palette))}
    return meanings | {colour_code(colour): class_id for class_id, colour in enumerate(said.palette)}


def check_said(said: Said) -> None:
    """Refuse what contradicts itself, before any file is read.

    Raises:
        ValueError: If names, palette and values differ in number, or something stands twice.
    """
    given = {"class_names": said.names, "palette": said.palette, "values": said.values}
    counts = {f"data.{key}": len(value) for key, value in given.items() if value is not None}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{key} has {count}" for key, count in counts.items())
        raise ValueError(f"{told} entries; each class needs one in all of them, the background included")
    count = next(iter(counts.values()), 2)
    if not 2 <= count <= MOST_CLASSES:
        raise ValueError(f"{next(iter(counts))} has {count} entries, but 2 to {MOST_CLASSES} classes fit")
    check_unique(said.names or (), where="data.class_names")
    check_palette(said.palette or (), where="data.palette")
    if said.values is not None and len(set(said.values)) < len(said.values):
        raise ValueError(f"data.values={list(said.values)} has a value twice; give each class one of its own")
    known = set(said.values if said.values is not None else range(count if counts else 0))
    taken = known | {colour_code(colour) for colour in said.palette or ()}
    for value in said.ignored:
        if _code(value) in taken:
            raise ValueError(
                f"data.ignore_value={value} is a class as well; set data.ignore_value=null, or to a value "
                "that is none"
            )


def to_classes(said: Said, survey: Survey, *, title: str) -> Classes:
    """Join what is said with what stands in the files.

    Args:
        said: What is known of the classes.
        survey: What stands in the files; looked at where nothing says how many classes there are.
        title: Name of the data set, for messages.

    Raises:
        ValueError: If fewer than two classes are found, or more than there can be.
    """
    given = (said.names, said.palette, said.values)
    count = next((len(value) for value in given if value is not None), None)
    if count is None:
        count = _found(survey, {_code(value) for value in said.ignored}, title=title)
    values = range(count) if said.values is None else said.values
    known = {_code(value): IGNORED for value in said.ignored}
    known |= {int(value): class_id for class_id, value in enumerate(values)}
    if said.palette is None:  # a grey picture that was stored in three channels
        known |= {colour_code([code] * 3): class_id for code, class_id in known.items() if code < 256}
    else:
        known |= {colour_code(colour): class_id for class_id, colour in enumerate(said.palette)}
    return Classes(
        names=[str(number) for number in range(count)] if said.names is None else said.names,
        palette=said.shown or said.palette or voc_palette(count),
        legend=Legend(known),
        meanings=meanings_of(said),
    )


def _code(value: int | Sequence[int]) -> int:
    return value if isinstance(value, int) else colour_code(value)


def _found(survey: Survey, ignored: set[int], *, title: str) -> int:
    """Number of classes of masks of which nothing is said: the largest value that counts, and one."""
    codes = _as_values(np.unique(survey.codes).tolist())
    values = sorted(codes - ignored)
    if len(values) < 2:
        raise ValueError(
            f"the masks of {title} have no values but {sorted(codes)[:5]}, and a class for each is not "
            "there; say data.values=[0,255] data.ignore_value=null if 255 is a class, or data.palette if "
            "the classes are colours"
        )
    if values[-1] >= MOST_CLASSES:
        raise ValueError(
            f"the masks of {title} have the value {values[-1]}, and values of classes are below "
            f"{MOST_CLASSES}; say data.values, in the order of the classes"
        )
    gaps = sorted(set(range(values[-1])) - set(values))
    if gaps:
        log.warning(
            "no mask of %s has the values %s below %d, which stay classes without a pixel; data.values=%s "
            "leaves them out",
            title,
            gaps[:5],
            values[-1],
            values,
        )
    return values[-1] + 1


def _as_values(codes: Sequence[int]) -> set[int]:
    """Values, also those that stand as greys in three channels; other colours are none."""
    found = {code for code in codes if code < COLOUR}
    return found | {code & 255 for code in codes if code >= COLOUR and code == colour_code([code & 255] * 3)}
