"""Figures of a segmenter: what is written and drawn in them."""

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline import figures_segmentation
from pipeline.figures import GREY, ORANGE
from pipeline.figures_segmentation import IGNORED, MaskScene

NAMES = ["ground", "cat", "dog"]
PALETTE = [[0, 0, 0], [255, 0, 0], [0, 0, 255]]


def texts(figure: Figure) -> list[str]:
    """Everything that is written in a figure, once it is drawn."""
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]


def a_scene(**changes: Any) -> MaskScene:
    truth = np.zeros((10, 20), np.uint8)
    truth[2:6, 2:6], truth[9] = 1, IGNORED
    prediction = np.zeros((10, 20), np.uint8)
    prediction[2:6, 2:4], prediction[9] = 1, 2
    image = np.full((10, 20, 3), 100, np.uint8)
    given = {"image": image, "truth": truth, "prediction": prediction, "title": "IoU 0.72"}
    return MaskScene(**given | changes)


def colour(name: str) -> list[int]:
    return [round(255 * part) for part in to_rgb(name)]


def test_the_confusion_matrix_has_shares_of_each_class() -> None:
    counts = np.array([[99_000, 1_000, 0], [30, 170, 0], [0, 0, 0]])
    shown = texts(figures_segmentation.confusion_matrix(counts, NAMES))
    for part in ("99.0", "1.0", "15.0", "85.0", "cat", "truth", "prediction"):
        assert part in shown
    assert "Pixels of each class in percent: 98.97 % of all right" in shown
    assert "99000" not in shown


def test_a_share_that_would_be_nothing_is_not_written() -> None:
    counts = np.array([[99_999, 1], [0, 5]])
    assert "0.0" not in texts(figures_segmentation.confusion_matrix(counts, ["a", "b"]))


def test_many_classes_are_listed() -> None:
    names = [f"class {place}" for place in range(80)]
    counts = np.diag(np.full(80, 1000))
    counts[7, 7], counts[7, 8] = 400, 600
    counts[9] = 0  # nothing is known of it
    shown = texts(figures_segmentation.confusion_matrix(counts, names))
    assert "class 7 → class 8" in shown and " 60.0" in shown
    assert " 0.400" in shown
    assert "class 9" not in shown and "class 60" not in shown


def test_classes_that_are_not_there_have_no_bar() -> None:
    iou = np.array([0.5, np.nan, 0.25])
    shown = texts(figures_segmentation.class_measures({"IoU": iou, "boundary F1": iou * np.nan}, NAMES))
    assert "IoU: mean 0.375" in shown and "boundary F1: unknown" in shown
    assert shown.index("dog") < shown.index("ground"), "the weakest first"
    assert "cat" not in shown


def test_masks_have_the_colours_of_their_classes() -> None:
    painted = figures_segmentation.painted(a_scene().truth, PALETTE)
    assert painted[0, 0].tolist() == [0, 0, 0]
    assert painted[3, 3].tolist() == [255, 0, 0]
    assert painted[9, 0].tolist() == colour(GREY)


def test_only_errors_that_count_are_coloured() -> None:
    errors = figures_segmentation.errors(a_scene())
    assert errors[3, 5].tolist() == colour(ORANGE)
    assert (errors == colour(ORANGE)).all(axis=2).sum() == 4 * 2
    assert (errors[9] == colour(GREY)).all()
    assert len(set(errors[0, 0].tolist())) == 1 and errors[0, 0, 0] > 160, "the picture, pale"


def test_scenes_show_four_pictures_of_each_image() -> None:
    mask = np.zeros((40, 10), np.uint8)
    tall = a_scene(image=np.zeros((40, 10, 3), np.uint8), truth=mask, prediction=mask, title="IoU 0.10")
    groups = {"Lowest": [a_scene(), tall, a_scene()], "Highest": []}
    figure = figures_segmentation.scenes(groups, names=NAMES, palette=PALETTE)
    shown = texts(figure)
    assert shown.count("IoU 0.72") == 2 and shown.count("errors") == 3
    assert "Highest: none" in shown
    assert "cat" in shown and "dog" in shown, "a class that was only predicted is in the legend"
    assert sum(len(axes.images) for axes in figure.findobj() if hasattr(axes, "images")) == 12


def test_a_legend_of_too_many_colours_is_left_out() -> None:
    mask = np.arange(200, dtype=np.uint8).reshape(10, 20)
    names = [f"class {place}" for place in range(200)]
    figure = figures_segmentation.scenes(
        {"All": [a_scene(truth=mask)]}, names=names, palette=[[place, 0, 0] for place in range(200)]
    )
    shown = texts(figure)
    assert "class 5" not in shown
    assert "wrong" in shown and "does not count" in shown
