"""Figures of a detector: what is written and drawn in them."""

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from pipeline import figures_detection
from pipeline.figures import BLUE, GREEN, ORANGE
from pipeline.figures_detection import Marked, Scene


def texts(figure: Figure) -> str:
    """Everything that is written in a figure, once it is drawn."""
    figure.canvas.draw()
    return " ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def curves(classes: int, *, unknown: int = 0) -> dict[str, Any]:
    precision = np.linspace(1, 0, 101) * np.ones((2, classes, 1))
    precision[:, classes - unknown :] = np.nan
    mean = np.nanmean(precision, axis=1) if unknown < classes else precision[:, 0]
    return {"recall": np.linspace(0, 1, 101), "ious": [0.5, 0.75], "precision": precision, "mean": mean}


def test_precision_by_recall_names_few_classes_and_the_mean() -> None:
    figure = figures_detection.precision_recall(curves(3, unknown=1), ["cat", "dog", "absent"])
    shown = texts(figure)
    for part in ("cat", "dog", "mean of classes", "IoU 0.5: average precision 0.500", "IoU 0.75"):
        assert part in shown
    assert "absent" not in shown
    assert [len(axes.lines) for axes in figure.axes] == [3, 3]


def test_precision_by_recall_of_many_classes_or_none() -> None:
    many = figures_detection.precision_recall(curves(80), [f"class {place}" for place in range(80)])
    assert "class 7" not in texts(many)
    assert len(many.axes[0].lines) == 81
    none = figures_detection.precision_recall(curves(2, unknown=2), ["cat", "dog"])
    assert "average precision unknown" in texts(none)


def test_the_confusion_matrix_has_the_background() -> None:
    counts = np.array([[40, 2, 5], [0, 17, 1], [9, 4, 0]])
    shown = texts(figures_detection.confusion_matrix(counts, ["cat", "dog"], score_threshold=0.37))
    assert "57 of 65 objects found, 13 detections of nothing (score ≥ 0.37)" in shown
    for part in ("cat", "dog", "background", "detected as", "truth", "40", "17"):
        assert part in shown


def test_many_classes_are_listed_without_the_background() -> None:
    names = [f"class {place}" for place in range(80)]
    counts = np.diag(np.full(81, 10))
    counts[80] = 99
    counts[80, 80] = 0
    counts[7, 8] = 4
    counts[3, 80] = 30
    shown = texts(figures_detection.confusion_matrix(counts, names, score_threshold=0.5))
    assert "class 7 → class 8" in shown
    assert "10 of 40" in shown, "the weakest class"
    assert "background" not in shown


def test_kinds_of_errors_have_their_numbers() -> None:
    kinds = [
        {"kind": "class", "meaning": "right place, wrong class", "count": 1234, "gain": 0.0321},
        {"kind": "missed", "meaning": "not found", "count": 0, "gain": 0.0},
    ]
    shown = texts(figures_detection.error_kinds(kinds, score_threshold=0.25))
    for part in ("right place, wrong class", "1,234", "3.2", "score ≥ 0.25", "missed"):
        assert part in shown


def scene(size: tuple[int, int] = (60, 80), **more: Any) -> Scene:
    return Scene(image=np.zeros((*size, 3), dtype=np.uint8), title="found", **more)


def marked(style: figures_detection.Style, **more: Any) -> Marked:
    return Marked(box=(10, 20, 40, 50), text=f"{style} box", style=style, **more)


def test_truth_is_left_and_what_was_found_right() -> None:
    one = scene(truth=[marked("truth")], predictions=[marked("prediction"), marked("wrong")])
    figure = figures_detection.scenes({"heading": [one], "nobody": []})
    left, right = figure.subfigs[0].axes[:2]
    assert [to_hex(patch.get_edgecolor()) for patch in left.patches] == [GREEN]
    assert [to_hex(patch.get_edgecolor()) for patch in right.patches] == [ORANGE, BLUE], "the surest on top"
    box = left.patches[0]
    assert isinstance(box, Rectangle)
    assert (*box.get_xy(), box.get_width(), box.get_height()) == (9.5, 19.5, 30, 30), "pixel 0 starts at -0.5"
    shown = texts(figure)
    for part in ("heading", "nobody: none", "truth box", "prediction box", "wrong box", "found"):
        assert part in shown


def test_masks_are_painted_the_surest_on_top() -> None:
    whole, part = np.ones((60, 80), dtype=bool), np.zeros((60, 80), dtype=bool)
    part[:10] = True
    image = np.full((60, 80, 3), 200, dtype=np.uint8)
    painted = figures_detection._painted(image, [marked("truth", mask=part), marked("wrong", mask=whole)])
    assert painted[0, 0, 1] > painted[0, 0, 0], "green"
    assert painted[30, 0, 0] > painted[30, 0, 1], "orange"
    assert image.min() == 200, "the picture itself stays as it is"


@pytest.mark.parametrize("count", [0, 1, 5])
def test_any_number_of_pictures_of_any_size(count: int) -> None:
    group = [scene((40 + 30 * place, 60), predictions=[marked("prediction")]) for place in range(count)]
    figure = figures_detection.scenes({"heading": group})
    figure.canvas.draw()
    assert sum(bool(axes.images) for axes in figure.subfigs[0].axes) == 2 * count


def test_more_boxes_than_can_be_named_are_drawn() -> None:
    figure = figures_detection.scenes({"heading": [scene(predictions=[marked("prediction")] * 50)]})
    right = figure.subfigs[0].axes[1]
    assert (len(right.patches), len(right.texts)) == (50, figures_detection.MOST_NAMED_BOXES)
