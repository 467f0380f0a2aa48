"""Pictures for people: sizes, colours, and texts that stay inside."""

import numpy as np
import pytest

from datamodules.drawing import captioned, fitting
from datamodules.drawing_boxes import PALETTE, draw_boxes
from tests.datamodules.scenes import around, same, scene

NAMES = ["zero", "a very long name of a class that cannot fit into the picture", "zèbre"]


def coloured(picture: np.ndarray, label: int) -> np.ndarray:
    return (picture == PALETTE[label % len(PALETTE)]).all(axis=2)


def test_small_pictures_are_enlarged_by_a_whole_factor() -> None:
    for side, factor in ((128, 4), (400, 1), (399, 2), (1, 400)):
        picture = np.full((side, side + 7, 3), 9, np.uint8)
        result = draw_boxes(picture, boxes=np.empty((0, 4), np.float32), texts=[], colours=[])
        assert result.shape == (side * factor, (side + 7) * factor, 3)
        assert (result == 9).all()


def test_frames_are_where_the_boxes_are() -> None:
    before = scene()
    result = draw_boxes(before.picture, boxes=before.boxes, texts=["", "", ""], colours=before.labels)
    for label, box in enumerate(before.boxes):
        frame = coloured(result, label)
        assert around(frame) == (box * 5).tolist()
        left, top, right, bottom = (int(value) * 5 for value in box)
        assert not frame[top + 3 : bottom - 3, left + 3 : right - 3].any()  # thin
    assert same(before, scene())


def test_masks_are_half_transparent_and_only_inside() -> None:
    before = scene(masks=True)
    plain = draw_boxes(before.picture, boxes=before.boxes, texts=["", "", ""], colours=[3, 4, 5])
    tinted = draw_boxes(
        before.picture, boxes=before.boxes, texts=["", "", ""], colours=[3, 4, 5], masks=before.masks
    )
    x, y = 20 * 5, 20 * 5  # inside the first, which is red
    assert tinted[y, x].tolist() == [(255 + PALETTE[3][0]) // 2, PALETTE[3][1] // 2, PALETTE[3][2] // 2]
    assert np.array_equal(plain[:30], tinted[:30])
    assert not np.array_equal(plain, tinted)
    assert same(before, scene(masks=True))


def test_texts_stay_in_the_picture_and_apart() -> None:
    """Six boxes in 128 pixels, at every edge: the strip of each has its own area."""
    picture = np.zeros((128, 128, 3), np.uint8)
    boxes = np.array(
        [
            [0, 0, 20, 20],
            [1, 1, 22, 25],
            [110, 0, 128, 30],
            [0, 110, 30, 128],
            [105, 108, 128, 128],
            [50, 50, 80, 70],
        ],
        np.float32,
    )
    bare = draw_boxes(picture, boxes=boxes, texts=[""] * 6, colours=range(6))
    drawn = draw_boxes(picture, boxes=boxes, texts=["three 0.98"] * 6, colours=range(6))
    alone = [
        draw_boxes(picture, boxes=boxes[[i]], texts=["three 0.98"], colours=[i]).astype(int) for i in range(6)
    ]
    assert drawn.shape == bare.shape
    for label, single in enumerate(alone):
        strip = coloured(drawn, label).sum() - coloured(bare, label).sum()
        own = (single == PALETTE[label]).all(axis=2).sum()
        assert strip > 300
        assert own > 500


def test_texts_of_one_place_do_not_cover_each_other() -> None:
    picture = np.zeros((128, 128, 3), np.uint8)
    boxes = np.array([[40, 40, 90, 90]] * 4, np.float32)
    together = draw_boxes(picture, boxes=boxes, texts=["three 0.98"] * 4, colours=range(4))
    for label in range(3):  # the frame of the last lies on those of the others, so what is left is the strip
        alone, bare = (
            draw_boxes(picture, boxes=boxes[:1], texts=[text], colours=[label]) for text in ("three 0.98", "")
        )
        strip = coloured(alone, label).sum() - coloured(bare, label).sum()
        assert coloured(together, label).sum() >= strip > 300


@pytest.mark.parametrize("name", NAMES)
def test_every_text_fits(name: str) -> None:
    picture = np.zeros((100, 60, 3), np.uint8)
    for box in ([0, 0, 3, 3], [57, 97, 60, 100], [0, 0, 60, 100], [-9, -9, 70, 120], [30, 40, 30, 40]):
        result = draw_boxes(picture, boxes=np.array([box], np.float32), texts=[name], colours=[25])
        assert result.shape == (700, 420, 3)
        assert coloured(result, 25).sum() > 250


def test_a_line_is_shortened_only_where_it_must_be() -> None:
    assert fitting("seven", width=200, scale=0.4) == "seven"
    short = fitting(NAMES[1], width=100, scale=0.4)
    assert short.endswith("..")
    assert NAMES[1].startswith(short.rstrip("."))
    assert fitting("zèbre", width=200, scale=0.4) == "z?bre"


def test_captions_stand_above_the_picture() -> None:
    picture = np.full((32, 40, 3), 50, np.uint8)
    result = captioned(picture, "seven")
    assert result.shape == (4 * 32 + 22, 4 * 40, 3)
    assert (result[22:] == 50).all()
    assert (result[:22] == 0).any()
    assert (result[:22] == 255).any()
