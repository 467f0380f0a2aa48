"""Colours in which masks are drawn and written."""

from collections.abc import Sequence

from datamodules.drawing_boxes import PALETTE

Colours = list[list[int]]


def voc_palette(count: int) -> Colours:
    """PASCAL VOC's colours, which any number of classes has; the first one is black.

    The bits of a class id are dealt out to red, green and blue in turn, from the highest bit of each
    (the devkit's ``VOClabelcolormap``).

    Args:
        count: Number of classes, at most 256.

    Returns:
        RGB in [0, 255] of each class.
    """
    return [_voc_colour(class_id) for class_id in range(count)]


def bright_palette(count: int) -> Colours:
    """Black for the background, then colours that are seen on photographs; they repeat after twelve."""
    return [[0, 0, 0], *(list(PALETTE[number % len(PALETTE)]) for number in range(count - 1))][:count]


def check_palette(palette: Sequence[Sequence[int]], *, where: str) -> None:
    """Refuse what is no list of different colours.

    Args:
        palette: RGB of each class.
        where: Key of the configuration, for the message.

    Raises:
        ValueError: If a colour has not three values in [0, 255], or stands twice.
    """
    for colour in palette:
        if len(colour) != 3 or not all(isinstance(value, int) and 0 <= value <= 255 for value in colour):
            raise ValueError(
                f"{where} has the colour {list(colour)}, which must be red, green, blue in [0, 255]"
            )
    colours = [tuple(colour) for colour in palette]
    twice = sorted({colour for colour in colours if colours.count(colour) > 1})
    if twice:
        raise ValueError(f"{where} has the colours {twice} more than once; give each class one of its own")


def _voc_colour(class_id: int) -> list[int]:
    colour = [0, 0, 0]
    for place in range(8):
        bits = class_id >> (3 * place)
        for channel in range(3):
            colour[channel] |= (bits >> channel & 1) << (7 - place)
    return colour
