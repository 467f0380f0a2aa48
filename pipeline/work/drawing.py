"""Pictures with what was predicted drawn on them."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from faster_coco_eval.core import mask as run_length
from matplotlib import colormaps
from numpy.typing import NDArray

Row = dict[str, Any]
Picture = NDArray[np.uint8]

_SHORTEST_SIDE = 256
_STRIP = 34
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LINE = 15


def write_annotated(path: Path, rows: list[Row], *, folder: Path) -> Path:
    """Write a copy of an image with what was found in it.

    Args:
        path: The image file.
        rows: What was predicted for it. With `x1`, `y1`, `x2`, `y2`, `score` and perhaps `segmentation` each
            row is an object, drawn in its place; else the first one's `label` and `probability` go below.
        folder: Where the picture goes, as PNG under the file's name.

    Returns:
        The picture's path; a number is added where another image had the same name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    original = _read(path)
    factor = max(1, round(_SHORTEST_SIDE / min(original.shape[:2])))
    image = _enlarged(original, factor)
    has_places = bool(rows) and "x1" in rows[0]
    drawn = _with_objects(image, rows, factor=factor) if has_places else _with_strip(image, rows)
    target = _free_name(folder, path.stem)
    cv2.imwrite(str(target), drawn)
    return target


def _read(path: Path) -> Picture:
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
    cv2.putText(
        image, text.encode("ascii", "replace").decode(), (x + 2, y + 11), _FONT, 0.45, ink, 1, cv2.LINE_AA
    )


def _colour(place: int) -> tuple[int, ...]:
    red, green, blue = colormaps["tab10"](place % 10)[:3]
    return tuple(round(255 * part) for part in (blue, green, red))


def _enlarged(image: Picture, factor: int) -> Picture:
    resized = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, np.uint8)


def _free_name(folder: Path, stem: str) -> Path:
    candidates = [folder / f"{stem}.png", *(folder / f"{stem}_{number}.png" for number in range(2, 10_000))]
    return next(path for path in candidates if not path.exists())
