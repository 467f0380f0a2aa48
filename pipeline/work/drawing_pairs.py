"""Two images side by side, with a frame and words that say whether they show the same."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.work.drawing import Picture, free_name, read_picture

GREEN, RED = (46, 160, 67), (218, 54, 51)  # RGB
_SIDE = 256
_GAP, _FRAME, _STRIP = 8, 6, 24
_SIZE = 15  # of letters, in pixels
_WHITE, _GREY, _DARK = (255, 255, 255), (90, 90, 90), (48, 48, 48)


def write_pair(
    query: Path, enrolled: Path, *, words: tuple[str, str], verdict: str, is_known: bool, folder: Path
) -> Path:
    """Write a query beside the enrolled image that is nearest to it.

    Args:
        query: The image that was asked about.
        enrolled: The nearest image of the gallery; a grey square where the file is gone.
        words: What stands above the two.
        verdict: What stands below both.
        is_known: Whether the frame is green, else red.
        folder: Where the picture goes, as PNG under the query's name.

    Returns:
        The picture's path; a number is added where another image had the same name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    colour = GREEN if is_known else RED
    sides = np.hstack([_titled(_square(query), words[0]), _titled(_square(enrolled), words[1])])
    whole = np.vstack([sides, _line(verdict, width=sides.shape[1], ground=colour)])
    framed = cv2.copyMakeBorder(whole, _FRAME, _FRAME, _FRAME, _FRAME, cv2.BORDER_CONSTANT, value=colour)
    target = free_name(folder, query.stem)
    cv2.imwrite(str(target), framed[..., ::-1])
    return target


def _square(path: Path) -> Picture:
    """An image in the middle of a black square, RGB; small ones stay in pixels that can be counted."""
    if not path.is_file():
        return _missing()
    image = read_picture(path)[..., ::-1]
    factor = _SIDE / max(image.shape[:2])
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    square = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    top, left = (_SIDE - height) // 2, (_SIDE - width) // 2
    square[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=how)
    return square


def _missing() -> Picture:
    square = np.full((_SIDE, _SIDE, 3), _GREY, np.uint8)
    square[_SIDE // 2 - _STRIP // 2 :][:_STRIP] = _line("this file is gone", width=_SIDE, ground=_GREY)
    return square


def _titled(square: Picture, words: str) -> Picture:
    column = np.vstack([_line(words, width=_SIDE, ground=_DARK), square])
    half = _GAP // 2
    edged = cv2.copyMakeBorder(column, 0, _GAP, half, half, cv2.BORDER_CONSTANT, value=_DARK)
    return np.asarray(edged, np.uint8)


def _line(text: str, *, width: int, ground: tuple[int, int, int]) -> Picture:
    """White letters on a ground, cut where the picture ends; with a font that knows more than English."""
    strip = Image.new("RGB", (width, _STRIP), ground)
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    font = ImageFont.truetype(str(file), _SIZE)
    while font.getlength(text) > width - 8 and len(text) > 1:
        text = f"{text.removesuffix('…')[:-1]}…"
    ImageDraw.Draw(strip).text((4, 2), text, fill=_WHITE, font=font)
    return np.asarray(strip)
