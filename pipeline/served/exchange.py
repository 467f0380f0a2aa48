"""Pictures as text, which a table and JSON can hold: base64 of a whole PNG, JPEG or other file."""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np


def write_pictures(texts: Mapping[int, Any], *, folder: Path, column: str) -> dict[int, Path]:
    """Lay pictures down as the files that they are the text of.

    Args:
        texts: Base64 of a picture file each, by the row of the table.
        folder: Where they go, into a folder of the column's name.
        column: Where they stand in the table.

    Returns:
        A file for each row; whether it is a picture is seen when it is read.

    Raises:
        ValueError: If one is not base64.
    """
    (folder / column).mkdir()
    # An ending is asked for in places; what is in a file says what format it is.
    paths = {row: folder / column / f"{row:06d}.png" for row in texts}
    for row, path in paths.items():
        path.write_bytes(_content(texts[row], row=row, column=column))
    return paths


def _content(text: Any, *, row: int, column: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValueError(
            f"row {row}, column {column}: no base64 text of a picture file ({error}); in Python it is "
            "base64.b64encode(path.read_bytes()).decode()"
        ) from error


def refuse_broken(broken: Mapping[Path, str], *, files: Mapping[int, Path], column: str) -> None:
    """Say which row holds what is no picture.

    Args:
        broken: What is wrong with a file, as it was read.
        files: The files of a column, by row.
        column: Its name.

    Raises:
        ValueError: If there is one.
    """
    for row, path in files.items():
        if path in broken:
            raise ValueError(in_row(broken[path], path, row=row, column=column))


def in_row(reason: str, path: Path, *, row: int, column: str) -> str:
    """What is wrong with a picture, for somebody who knows its row and not our file."""
    return f"row {row}, column {column}: {reason.replace(str(path), 'the picture')}"


def file_text(path: Path) -> str:
    """A file as base64 text."""
    return base64.b64encode(path.read_bytes()).decode("ascii")


def example_text(side: int) -> str:
    """A PNG of a square that gets redder to the right and greener downwards: nobody's picture."""
    ramp = np.tile(np.linspace(0, 255, side).astype(np.uint8), (side, 1))
    _, encoded = cv2.imencode(".png", np.stack([np.zeros_like(ramp), ramp.T, ramp], axis=2))  # BGR
    return base64.b64encode(encoded.tobytes()).decode("ascii")
