"""What predictions look like on a picture."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as pycocotools_mask

from pipeline.work.drawing import can_annotate, write_annotated
from pipeline.work.masks import ClassMask


def grey(folder: Path, *, height: int = 64, width: int = 128) -> Path:
    """A grey picture."""
    path = folder / "street.png"
    cv2.imwrite(str(path), np.full((height, width, 3), 128, np.uint8))
    return path


def an_object(*, score: float = 0.9, label: str = "car", **changes: Any) -> dict[str, Any]:
    return {"label": label, "score": score, "x1": 20.0, "y1": 30.0, "x2": 60.0, "y2": 50.0, **changes}


def coloured(image: Any) -> Any:
    """Pixels that are not grey."""
    return image.max(axis=2) != image.min(axis=2)


def test_a_box_is_drawn_where_it_is_at_the_enlarged_size(tmp_path: Path) -> None:
    drawn = cv2.imread(str(write_annotated(grey(tmp_path), [an_object()], folder=tmp_path / "out")))
    assert drawn.shape == (256, 512, 3)  # four times as large, without a strip below
    rows, columns = np.nonzero(coloured(drawn[120:, :, :]))  # below the line with the name
    assert abs(columns.min() - 4 * 20) <= 2 and abs(columns.max() - 4 * 60) <= 2
    assert abs(rows.max() + 120 - 4 * 50) <= 2
    assert not coloured(drawn)[4 * 40, 4 * 40], "the inside is left alone"


def test_classes_differ_in_colour_and_names_stay_inside(tmp_path: Path) -> None:
    found = [
        an_object(),
        an_object(label="bus", x1=100.0, x2=128.0, y1=0.0, y2=20.0, score=0.55),
    ]
    drawn = cv2.imread(str(write_annotated(grey(tmp_path), found, folder=tmp_path / "out")))
    frames = [tuple(drawn[4 * 49, 4 * 20]), tuple(drawn[4 * 19, 4 * 100])]
    assert len(set(frames)) == 2
    assert coloured(drawn)[1, 401], "the name of a box at the upper edge is inside the picture"


def test_a_mask_is_tinted(tmp_path: Path) -> None:
    mask = np.zeros((64, 128), np.uint8, order="F")
    mask[35:45, 30:50] = 1
    encoded = pycocotools_mask.encode(mask)
    segmentation = json.dumps({"size": encoded["size"], "counts": encoded["counts"].decode()})
    drawn = cv2.imread(
        str(write_annotated(grey(tmp_path), [an_object(segmentation=segmentation)], folder=tmp_path))
    )
    assert coloured(drawn)[4 * 35 : 4 * 45, 4 * 30 : 4 * 50].all()
    assert not coloured(drawn)[4 * 35 : 4 * 45, 4 * 51 : 4 * 59].any()


def test_a_class_stands_below(tmp_path: Path) -> None:
    path = grey(tmp_path)
    drawn = cv2.imread(str(write_annotated(path, [{"label": "cat", "probability": 0.9}], folder=tmp_path)))
    nothing = cv2.imread(str(write_annotated(path, [], folder=tmp_path)))
    assert drawn.shape == nothing.shape == (256 + 34, 512, 3)
    assert (drawn[256:] > 0).any() and (drawn[256:] != nothing[256:]).any()
    assert sorted(file.name for file in tmp_path.glob("street*.png")) == [
        "street.png",
        "street_2.png",
        "street_3.png",
    ]


def test_an_embedding_is_not_drawn() -> None:
    assert not can_annotate([{"embedding_0": 0.1, "embedding_1": -0.2}])
    assert can_annotate([{"label": "cat", "probability": 0.9}])
    assert can_annotate([an_object()])
    assert can_annotate([]), "of nothing found a picture says so"


def test_a_mask_of_classes_is_laid_over_and_named_below(tmp_path: Path) -> None:
    ids = np.zeros((64, 128), np.uint8)
    ids[10:20, 30:50] = 2
    ids[40:50, 30:50] = 1
    mask = ClassMask(ids=ids, names=["ground", "cat", "dog"], palette=[[0, 0, 0], [0, 0, 255], [255, 0, 0]])
    rows = [{"class": name, "pixels": 200, "share": 0.02} for name in ("ground", "dog", "cat")]
    drawn = cv2.imread(str(write_annotated(grey(tmp_path), rows, folder=tmp_path / "out", mask=mask)))
    picture, legend = drawn[:256], drawn[256:]
    assert drawn.shape[1] == 512 and 20 < len(legend) < 60
    assert tuple(picture[4 * 15, 4 * 40]) == (64, 64, 192), "half grey, half red, in OpenCV's order"
    assert tuple(picture[4 * 45, 4 * 40]) == (192, 64, 64)
    assert not coloured(picture)[: 4 * 10].any(), "black is the background, which stays as it is"
    assert picture[0, 0, 0] == 128
    for colour in ((0, 0, 255), (255, 0, 0)):
        assert (legend == colour).all(axis=2).sum() > 80, "a square of the colour"


def test_a_legend_takes_as_many_lines_as_it_needs(tmp_path: Path) -> None:
    names = [f"a rather long name {place}" for place in range(12)]
    ids = (np.arange(64 * 128, dtype=np.int64) % 12).astype(np.uint8).reshape(64, 128)
    mask = ClassMask(ids=ids, names=names, palette=[[20 * place, 0, 99] for place in range(12)])
    rows = [{"class": name, "pixels": 1, "share": 1 / 12} for name in names]
    drawn = cv2.imread(str(write_annotated(grey(tmp_path), rows, folder=tmp_path / "out", mask=mask)))
    legend = drawn[256:]
    assert drawn.shape[1] == 512 and len(legend) > 6 * 19
    colours = {tuple(int(part) for part in pixel) for pixel in legend.reshape(-1, 3)}
    assert {(99, 0, 20 * place) for place in range(12)} <= colours
