"""Pictures with what was predicted drawn on them."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from faster_coco_eval.core import mask as run_length
from matplotlib import colormaps
from numpy.typing import NDArray

from pipeline.work.files import unused
from pipeline.work.masks import ClassMask

Row = dict[str, Any]
Picture = NDArray[np.uint8]

_SHORTEST_SIDE = 256
_STRIP = 34
_SQUARE = 12  # of a colour in the legend
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LINE = 15


def can_annotate(rows: list[Row], *, mask: ClassMask | None = None) -> bool:
    """Whether there is anything that a picture could show of what was predicted; not so of an embedding."""
    return mask is not None or not rows or "label" in rows[0]


def write_annotated(path: Path, rows: list[Row], *, folder: Path, mask: ClassMask | None = None) -> Path:
    """Write a copy of an image with what was found in it.

    Args:
        path: The image file.
        rows: What was predicted for it. With `x1`, `y1`, `x2`, `y2`, `score` and perhaps `segmentation` each
            row is an object, drawn in its place; with a mask each is a `class` and its `share`, named below;
            else the first one's `label` and `probability` go below.
        folder: Where the picture goes, as PNG under the file's name.
        mask: The classes of its pixels, laid half transparent over it.

    Returns:
        The picture's path; a number is added where another image had the same name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    original = read_picture(path)
    factor = max(1, round(_SHORTEST_SIDE / min(original.shape[:2])))
    image = _enlarged(original, factor)
    if mask is not None:
        drawn = _with_mask(image, rows, mask)
    elif rows and "x1" in rows[0]:
        drawn = _with_objects(image, rows, factor=factor)
    else:
        drawn = _with_strip(image, rows)
    target = free_name(folder, path.stem)
    cv2.imwrite(str(target), drawn)
    return target


def read_picture(path: Path) -> Picture:
    """BGR; transparency is laid on white, as the network sees it."""
    read = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if read is None:
        return np.zeros((_SHORTEST_SIDE, _SHORTEST_SIDE, 3), np.uint8)
    layers = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if layers is not None and layers.ndim == 3 and layers.shape[2] == 4:
        opacity = layers[..., 3:] / (255 if layers.dtype == np.uint8 else 65535)
        return np.asarray((read * opacity + 255 * (1 - opacity)).round(), np.uint8)
    return np.asarray(read, np.uint8)


def _with_strip(image: Picture, rows: list[Row]) -> Picture:
    strip = np.zeros((_STRIP, image.shape[1], 3), np.uint8)
    text = f"{rows[0]['label']}  {rows[0]['probability']:.1%}" if rows else "nothing found"
    cv2.putText(strip, text, (8, 23), _FONT, 0.6, _WHITE, 1, cv2.LINE_AA)
    return np.vstack([image, strip])


def _with_mask(image: Picture, rows: list[Row], mask: ClassMask) -> Picture:
    """Classes at 50 %, black ones not at all, and below the colour, name and share of each."""
    height, width = image.shape[:2]
    colours = cv2.resize(mask.painted()[..., ::-1], (width, height), interpolation=cv2.INTER_NEAREST)
    mixed = cv2.addWeighted(image, 0.5, colours, 0.5, 0)
    drawn = np.where(colours.any(axis=2, keepdims=True), mixed, image)
    return np.vstack([drawn, _legend(rows, mask, width=width)])


def _legend(rows: list[Row], mask: ClassMask, *, width: int) -> Picture:
    """Classes from left to right, in as many lines as they need."""
    texts = [f"{_ascii(row['class'])} {row['share']:.1%}" for row in rows]
    places, line, left = [], 0, 8
    for text in texts:
        length = _SQUARE + 5 + cv2.getTextSize(text, _FONT, 0.45, 1)[0][0] + 14
        if left > 8 and left + length > width:
            line, left = line + 1, 8
        places.append((left, 8 + line * (_LINE + 4)))
        left += length
    strip = np.zeros((8 + (line + 1) * (_LINE + 4), width, 3), np.uint8)
    for row, text, (x, y) in zip(rows, texts, places, strict=True):
        red, green, blue = mask.palette[mask.names.index(row["class"])]
        cv2.rectangle(strip, (x, y), (x + _SQUARE, y + _SQUARE), (blue, green, red), cv2.FILLED)
        cv2.rectangle(strip, (x, y), (x + _SQUARE, y + _SQUARE), _WHITE, 1)  # a black one is seen, too
        cv2.putText(strip, text, (x + _SQUARE + 5, y + 11), _FONT, 0.45, _WHITE, 1, cv2.LINE_AA)
    return strip


def _with_objects(image: Picture, rows: list[Row], *, factor: int) -> Picture:
    """Least certain first, so that the most certain lie on top."""
    drawn = image.copy()
    colours = {label: _colour(place) for place, label in enumerate(sorted({row["label"] for row in rows}))}
    for row in sorted(rows, key=lambda row: float(row["score"])):
        colour = colours[row["label"]]
        if "segmentation" in row:
            mask = run_length.decode(json.loads(row["segmentation"])).astype(bool)
            inside = mask.repeat(factor, axis=0).repeat(factor, axis=1)
            drawn[inside] = (0.5 * drawn[inside] + 0.5 * np.array(colour)).astype(np.uint8)
        left, top, right, bottom = (round(factor * row[side]) for side in ("x1", "y1", "x2", "y2"))
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), colour, 2)
        _write(drawn, f"{row['label']} {row['score']:.2f}", left=left, top=top, colour=colour)
    return drawn


def _write(image: Picture, text: str, *, left: int, top: int, colour: tuple[int, ...]) -> None:
    """A line above a box, or inside it where it would leave the picture."""
    width = cv2.getTextSize(text, _FONT, 0.45, 1)[0][0] + 4
    x = max(0, min(left, image.shape[1] - width))
    y = top - _LINE if top >= _LINE else top
    cv2.rectangle(image, (x, y), (x + width, y + _LINE), colour, cv2.FILLED)
    ink = _BLACK if sum(colour) > 380 else _WHITE
    cv2.putText(image, _ascii(text), (x + 2, y + 11), _FONT, 0.45, ink, 1, cv2.LINE_AA)


def _ascii(text: str) -> str:
    """What OpenCV can write."""
    return text.encode("ascii", "replace").decode()


def _colour(place: int) -> tuple[int, ...]:
    red, green, blue = colormaps["tab10"](place % 10)[:3]
    return tuple(round(255 * part) for part in (blue, green, red))


def _enlarged(image: Picture, factor: int) -> Picture:
    resized = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, np.uint8)


def free_name(folder: Path, stem: str) -> Path:
    """A PNG in a folder that is not there yet: with a number where another picture had the same name."""
    return unused(folder / f"{stem}.png")
