"""Pictures with what was predicted written on them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SHORTEST_SIDE = 256
_STRIP = 34
_WHITE = (255, 255, 255)


def write_annotated(path: Path, rows: list[dict[str, Any]], *, folder: Path) -> Path:
    """Write a copy of an image with its label and probability in a strip below it.

    Args:
        path: The image file.
        rows: What was predicted for it, `label` and `probability` among the keys; the first is shown.
        folder: Where the picture goes, as PNG under the file's name.

    Returns:
        The picture's path; a number is added where another image had the same name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    read = cv2.imread(str(path), cv2.IMREAD_COLOR)
    image = _enlarged(np.zeros((_SHORTEST_SIDE, _SHORTEST_SIDE, 3), np.uint8) if read is None else read)
    strip = np.zeros((_STRIP, image.shape[1], 3), np.uint8)
    text = f"{rows[0]['label']}  {rows[0]['probability']:.1%}" if rows else "nothing found"
    cv2.putText(strip, text, (8, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.6, _WHITE, 1, cv2.LINE_AA)
    target = _free_name(folder, path.stem)
    cv2.imwrite(str(target), np.vstack([image, strip]))
    return target


def _enlarged(image: Any) -> NDArray[np.uint8]:
    factor = max(1, round(_SHORTEST_SIDE / min(image.shape[:2])))
    resized = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, np.uint8)


def _free_name(folder: Path, stem: str) -> Path:
    candidates = [folder / f"{stem}.png", *(folder / f"{stem}_{number}.png" for number in range(2, 10_000))]
    return next(path for path in candidates if not path.exists())
