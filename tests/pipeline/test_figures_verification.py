"""Figures of a verifier: what is written and drawn in them."""

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from pipeline import figures_verification
from pipeline.figures import GREEN, GREY, INK, ORANGE
from pipeline.figures_verification import PairScene, side_by_side

DISTANCE = np.array([0.1, 0.2, 0.3, 0.9, 0.5, 1.0, 1.1, 1.2, 1.3])
SAME = np.array([True] * 4 + [False] * 5)


def texts(figure: Figure) -> list[str]:
    """Everything that is written in a figure, once it is drawn."""
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]


def axes_of(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.findobj(Axes) if isinstance(axes, Axes)]


def test_distances_of_each_kind_are_shares_of_that_kind() -> None:
    figure = figures_verification.distances(DISTANCE, SAME, threshold=0.6)
    (axes,) = axes_of(figure)
    bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
    assert sum(bar.get_height() for bar in bars) == pytest.approx(2), "each kind adds up to 1"
    assert axes.lines[0].get_xdata() == [0.6, 0.6]
    shown = texts(figure)
    assert {"4 matching pairs", "5 other pairs", "threshold 0.6"} <= set(shown)
    assert "Taken to match: 75 % of the matching pairs, 20 % of the others" in shown


def test_distances_without_a_threshold_have_no_line() -> None:
    figure = figures_verification.distances(DISTANCE, SAME, threshold=float("nan"))
    (axes,) = axes_of(figure)
    assert not axes.lines
    assert "Distances of pairs" in texts(figure)
    assert "Epoch 1" in texts(
        figures_verification.distances(DISTANCE, SAME, threshold=0.6, title="Epoch 1")
    ), "a title of its own"


def test_distances_of_one_kind_alone_are_drawn() -> None:
    shown = texts(figures_verification.distances(DISTANCE[SAME], SAME[SAME], threshold=0.6))
    assert {"4 matching pairs", "0 other pairs"} <= set(shown)


def curve(**changes: Any) -> Figure:
    given = {"others": 50_000, "auc": 0.98765, "eer": 0.05}
    far = np.array([0.0, 0.0, 1e-4, 1e-3, 0.05, 1.0])
    return figures_verification.roc(far, np.array([0.0, 0.5, 0.6, 0.7, 0.95, 1.0]), **given | changes)


def shaded(figure: Figure) -> list[Rectangle]:
    (axes,) = axes_of(figure)
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def test_the_curve_names_what_is_accepted() -> None:
    figure = curve()
    (axes,) = axes_of(figure)
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == (1 / 50_000, 1)
    shown = texts(figure)
    assert "ROC: area under the curve 0.9877" in shown and "equal error rate 0.0500" in shown
    assert [text for text in shown if text in ("0.600", "0.700", "0.950")] == [
        "0.950",
        "0.700",
        "0.700",
        "0.600",
    ]
    assert not shaded(figure)


def test_what_the_pairs_do_not_resolve_is_shaded() -> None:
    figure = curve(others=300)
    (area,) = shaded(figure)
    assert (area.get_x(), area.get_x() + area.get_width()) == (pytest.approx(1e-4), pytest.approx(1 / 300))
    shown = texts(figure)
    assert "below 1 of 300 other pairs" in shown
    assert "0.600" not in shown and "0.700" in shown, "nothing is said of what is shaded"


def a_pair(**changes: Any) -> PairScene:
    picture = np.full((16, 16, 3), 90, np.uint8)
    given = {
        "first": picture,
        "second": picture,
        "names": ("Ann", "Bob"),
        "distance": 0.4321,
        "is_right": True,
    }
    return PairScene(**given | changes)


def test_pairs_are_named_and_coloured() -> None:
    wrong = a_pair(names=("Cat", "Cat"), is_right=False)
    groups = {"Nearest": [a_pair(), wrong, a_pair(is_right=None)], "Farthest": []}
    figure = figures_verification.pairs(groups, columns=2)
    shown = texts(figure)
    assert "Nearest" in shown and "Farthest: none" in shown
    titles = {axes.get_title(): axes.title.get_color() for axes in axes_of(figure) if axes.images}
    assert titles == {"Ann · Bob\ndistance 0.432": INK, "Cat\ndistance 0.432": ORANGE}
    assert len([axes for axes in axes_of(figure) if axes.images]) == 3
    assert a_pair_alone_is(GREEN)


def a_pair_alone_is(colour: str) -> bool:
    (axes,) = (axes for axes in axes_of(figures_verification.pairs({"": [a_pair()]})) if axes.images)
    return bool(axes.title.get_color() == colour)


def test_pictures_stand_side_by_side_with_white_between_them() -> None:
    first, second = np.zeros((10, 32, 3), np.uint8), np.full((6, 20, 3), 7, np.uint8)
    both = side_by_side(first, second)
    assert both.shape == (10, 32 + 1 + 20, 3)
    assert (both[:, :32] == 0).all() and (both[:, 32] == 255).all()
    assert (both[:6, 33:] == 7).all() and (both[6:, 33:] == 255).all()


def a_map(identities: int, names: list[str]) -> Figure:
    labels = np.repeat(np.arange(identities), 5)
    labels[-1] = 0  # the last one has fewest
    places = np.stack([labels, np.arange(len(labels))], axis=1).astype(np.float64)
    return figures_verification.embedding_map(places, labels, names)


def test_a_map_has_short_names_where_the_images_are() -> None:
    figure = a_map(3, ["0", "1", "2"])
    (axes,) = axes_of(figure)
    assert {text.get_text(): text.get_position()[0] for text in axes.texts} == {"0": 0, "1": 1, "2": 2}
    assert not figure.legends
    assert "15 images by their embeddings (t-SNE)" in texts(figure)


def test_a_map_has_long_names_beside_it_and_few() -> None:
    names = [f"Person {number:02}" for number in range(25)]
    figure = a_map(25, names)
    shown = texts(figure)
    assert {"Person 00", "Person 19"} <= set(shown)
    assert "Person 24" not in shown and "Person 20" not in shown
    assert "125 images by their embeddings (t-SNE); grey: 5 more" in shown
    (axes,) = axes_of(figure)
    dots = [group for group in axes.collections if isinstance(group, PathCollection)]
    assert same_color(dots[0].get_facecolor()[0], GREY) and len(dots[0].get_offsets()) == 24
    colours = {tuple(group.get_facecolor()[0]) for group in dots}
    assert len(colours) == 21, "no two identities have one colour"
    assert all(np.ptp(group.get_facecolor()[0][:3]) > 0.1 for group in dots[1:]), "grey stands for the others"
