"""Mosaic and copy-paste against the pixels of the pictures they are made of."""

import logging
import pickle
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from datamodules.box_pipeline import box_areas
from datamodules.boxed_picture import BoxedPicture
from datamodules.combining import Combination, CopyPaste, Mosaic
from datamodules.windows import GREY
from tests.datamodules.noise import make
from tests.datamodules.scenes import RECIPES, around, found, recipe, same, scene

COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]])
BESIDE = ((5, 5, 25, 25), (60, 50, 100, 80))


def coloured(
    label: int, *, masks: bool, size: tuple[int, int] = (80, 100), crowd: bool = False
) -> BoxedPicture:
    """One object, whose label says its colour."""
    before = scene(((30, 20, 70, 60),), height=size[0], width=size[1], masks=masks)
    picture = (before.picture[..., :1] // 255) * COLOURS[label].astype(np.uint8)
    return replace(
        before,
        picture=picture,
        labels=np.array([label]),
        is_crowd=np.array([crowd]),
        is_difficult=np.array([label == 2]),
    )


def of_colour(picture: BoxedPicture, label: int) -> np.ndarray:
    return ((picture.picture > 127) == (COLOURS[label] > 127)).all(axis=2)


def four(*, masks: bool) -> list[BoxedPicture]:
    sizes = ((80, 100), (100, 90), (75, 200), (300, 80))
    return [coloured(label, masks=masks, size=size) for label, size in enumerate(sizes)]


@pytest.mark.parametrize("masks", [False, True])
def test_mosaic_puts_boxes_where_the_pixels_are(masks: bool) -> None:
    mosaic = Mosaic(size=120, low=0.6, high=1.4)
    kept = 0
    for seed in range(60):
        result = mosaic(four(masks=masks), generator=np.random.default_rng(seed))
        assert result.picture.shape == (120, 120, 3)
        assert result.picture.dtype == np.uint8
        for position, (box, label) in enumerate(zip(result.boxes, result.labels.tolist(), strict=True)):
            pixels = of_colour(result, label)
            assert np.abs(np.array(around(pixels)) - box).max() <= 1.01
            assert result.areas[position] == pytest.approx(box_areas(box[None])[0], rel=1e-3)
            assert result.is_difficult[position] == (label == 2)
            if masks:
                assert result.masks is not None
                assert around(result.masks[position] > 0) == box.tolist()
        kept += len(result)
        assert (result.masks is None) == (not masks)
    assert kept > 100


def test_mosaic_drops_only_what_is_nearly_hidden() -> None:
    """Pictures as large as the result keep their scale, so that hidden shares can be counted."""
    mosaic = Mosaic(size=100, low=1.0, high=1.0, min_visibility=0.5)
    pictures = [coloured(label, masks=False, size=(100, 100)) for label in range(4)]
    kept = 0
    for seed in range(60):
        result = mosaic(pictures, generator=np.random.default_rng(seed))
        for label in range(4):
            visible = of_colour(result, label).sum() / 1600
            assert (label in result.labels) == (visible >= 0.5)
        kept += len(result)
    assert 40 < kept < 200


def test_mosaic_shows_every_picture_in_its_corner_around_a_point_that_moves() -> None:
    plain = [replace(scene(()), picture=np.full((30, 50, 3), value, np.uint8)) for value in (10, 20, 30, 40)]
    points = []
    for seed in range(100):
        shown = Mosaic(size=64, margin=0.25)(plain, generator=np.random.default_rng(seed)).picture[..., 0]
        assert [shown[0, 0], shown[0, -1], shown[-1, 0], shown[-1, -1]] == [10, 20, 30, 40]
        assert set(np.unique(shown)) == {10, 20, 30, 40}
        points.append(((shown[:, 0] == 10).sum(), (shown[0] == 10).sum()))
    where = np.array(points)
    assert where.min() >= 16
    assert where.max() <= 48
    assert (where.min(axis=0) < 20).all()
    assert (where.max(axis=0) > 44).all()


@pytest.mark.parametrize("masks", [False, True])
def test_pasted_objects_lie_on_top_with_their_labels(masks: bool) -> None:
    paste = CopyPaste(low=0.4, high=1.6)
    below = replace(scene(BESIDE, height=90, width=110, masks=masks), labels=np.array([0, 1]))
    other = coloured(2, masks=masks)
    pasted = hidden = 0
    for seed in range(80):
        result = paste([below, other], generator=np.random.default_rng(seed))
        assert result.picture.shape == below.picture.shape
        for position, (box, label) in enumerate(zip(result.boxes, result.labels.tolist(), strict=True)):
            pixels = found(result.picture, label)
            assert np.abs(np.array(around(pixels)) - box).max() <= 1.01
            if label != 2:
                assert result.areas[position] == pytest.approx(pixels.sum(), rel=0.1)
            if masks:
                assert result.masks is not None
                assert (result.masks[position] > 0)[pixels].mean() > 0.9
                assert result.areas[position] == result.masks[position].sum()
        for label in (0, 1):
            visible = found(result.picture, label).sum() / below.areas[label]
            assert (label in result.labels) == (visible >= 0.25)
            hidden += label not in result.labels
        pasted += 2 in result.labels
    assert pasted > 60
    assert hidden > 3


def test_what_is_pasted_is_cut_out_by_its_mask() -> None:
    """The ground of the other picture stays behind; without masks it comes along inside the box."""
    ring = np.zeros((80, 80), np.uint8)
    ring[20:60, 20:60] = 1
    ring[30:50, 30:50] = 0
    other = replace(
        scene(((20, 20, 60, 60),), height=80, width=80),
        picture=np.where(ring[..., None] > 0, 255, 99).repeat(3, axis=2).astype(np.uint8),
    )
    below = scene((), height=80, width=80)
    for masks in (False, True):
        pair = [scene((), height=80, width=80, masks=masks), other]
        pair[1] = replace(other, masks=ring[None]) if masks else other
        result = CopyPaste(low=1.0, high=1.0)(pair, generator=np.random.default_rng(0))
        assert (result.picture == 255).all(axis=2).sum() == 1200
        assert (result.picture == 99).any() == (not masks)
    assert len(below) == 0


def test_crowds_are_not_pasted_and_nothing_is_pasted_where_there_is_nothing() -> None:
    below = scene(BESIDE)
    for other in (coloured(2, masks=False, crowd=True), scene(())):
        for seed in range(10):
            assert same(CopyPaste()([below, other], generator=np.random.default_rng(seed)), below)


def test_pasting_mirrors_only_where_it_is_told_to() -> None:
    left = scene(((5, 20, 25, 60), (70, 20, 75, 60)), height=80, width=80)
    orders = {}
    for flip in (0.0, 1.0):
        orders[flip] = set()
        for seed in range(20):
            paste = CopyPaste(low=1.0, high=1.0, horizontal_flip=flip)
            result = paste([scene((), height=80, width=80), left], generator=np.random.default_rng(seed))
            if len(result) == 2:
                orders[flip].add(bool(result.boxes[0, 0] < result.boxes[1, 0]))
            for box, label in zip(result.boxes, result.labels.tolist(), strict=True):
                assert around(found(result.picture, label)) == box.tolist()
    assert orders == {0.0: {True}, 1.0: {False}}


def test_a_random_part_of_the_objects_is_pasted() -> None:
    counts = [
        len(CopyPaste(low=1.0, high=1.0)([scene(()), scene()], generator=np.random.default_rng(seed)))
        for seed in range(60)
    ]
    assert set(counts) == {1, 2, 3}


def test_margins_of_a_small_other_picture_are_not_pasted() -> None:
    below = replace(scene(()), picture=np.full((90, 110, 3), 7, np.uint8))
    for seed in range(20):
        result = CopyPaste(low=0.2, high=0.4)([below, scene()], generator=np.random.default_rng(seed))
        assert not (result.picture == GREY).all(axis=2).any()


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("make", [lambda: Mosaic(size=96), lambda: CopyPaste(horizontal_flip=0.5)])
def test_the_generator_decides_and_inputs_are_neither_changed_nor_shared(
    make: Callable[[], Combination], masks: bool
) -> None:
    combine = make()
    pictures = [scene(masks=masks) for _ in range(1 + combine.num_others)]
    before = deepcopy(pictures)
    results = [combine(pictures, generator=np.random.default_rng(seed)) for seed in range(6)]
    again = pickle.loads(pickle.dumps(make()))
    np.random.seed(1)
    assert all(
        same(result, again(pictures, generator=np.random.default_rng(seed)))
        for seed, result in enumerate(results)
    )
    assert not all(same(results[0], result) for result in results)
    for result in results:
        result.picture[...] = 77
        result.boxes[...] = -1
        result.labels[...] = -1
        if result.masks is not None:
            result.masks[...] = 5
    assert all(same(one, other) for one, other in zip(pictures, before, strict=True))


def test_probability_and_the_last_epochs() -> None:
    generator = np.random.default_rng(0)
    often = Mosaic(size=8, p=0.3, close_epochs=5, epochs=20)
    rate = np.mean([often.applies(epoch=3, generator=generator) for _ in range(2000)])
    assert rate == pytest.approx(0.3, abs=0.04)
    always = CopyPaste(p=1.0, close_epochs=5, epochs=20)
    opened = [epoch for epoch in range(22) if always.applies(epoch=epoch, generator=generator)]
    assert opened == list(range(15))
    assert not Mosaic(size=8, close_epochs=5, epochs=3).applies(epoch=0, generator=generator)
    assert Mosaic(size=8, close_epochs=0, epochs=3).applies(epoch=2, generator=generator)
    assert Mosaic(size=8).applies(epoch=999, generator=generator)
    assert not CopyPaste(p=0.0).applies(epoch=0, generator=generator)


@pytest.mark.parametrize("name", [name for name in RECIPES if "combine" in recipe(name)])
def test_recipes_combine_at_first_and_close(name: str) -> None:
    (combine,) = recipe(name)["combine"].values()
    pictures = [scene(masks=True) for _ in range(1 + combine.num_others)]
    assert len(combine(pictures, generator=np.random.default_rng(0))) > 0
    generator = np.random.default_rng(0)
    assert any(combine.applies(epoch=0, generator=generator) for _ in range(20))
    assert not any(combine.applies(epoch=19, generator=generator) for _ in range(20))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Mosaic(size=8, p=1.5), r"Mosaic takes p in \[0, 1\], not p=1\.5"),
        (lambda: CopyPaste(p=-0.1), r"CopyPaste takes p in \[0, 1\], not p=-0\.1"),
        (lambda: Mosaic(size=8, close_epochs=-1), r"close_epochs >= 0, not close_epochs=-1"),
        (lambda: Mosaic(size=8, close_epochs=2), r"last 2 epochs, but epochs=None .* trainer\.max_epochs"),
        (lambda: CopyPaste(close_epochs=2, epochs=-1), r"epochs=-1 names no end .* close_epochs: 0"),
        (lambda: Mosaic(size=1), r"size >= 2 .* size=1"),
        (lambda: Mosaic(size=8, margin=0.0), r"margin=0\.0"),
        (lambda: Mosaic(size=8, margin=0.6), r"margin=0\.6"),
        (lambda: Mosaic(size=8, low=0.0), r"Mosaic takes 0 < low <= high, not low=0\.0"),
        (lambda: CopyPaste(low=3.0), r"CopyPaste takes 0 < low <= high, not low=3\.0, high=2\.0"),
        (lambda: CopyPaste(min_visibility=2.0), r"min_visibility in \[0, 1\], not min_visibility=2\.0"),
        (lambda: CopyPaste(horizontal_flip=2.0), r"horizontal_flip in \[0, 1\]"),
    ],
)
def test_nonsense_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(("epochs", "is_never"), [(5, True), (3, True), (6, False), (None, False)])
def test_a_training_too_short_to_combine_is_told_once(
    epochs: int | None, is_never: bool, caplog: pytest.LogCaptureFixture
) -> None:
    close_epochs = 5 if epochs else 0
    steps = {
        "four": Mosaic(size=32, close_epochs=close_epochs, epochs=epochs),
        "off": Mosaic(size=32, close_epochs=close_epochs, epochs=epochs, p=0.0),
        "nothing": None,
    }
    with caplog.at_level(logging.WARNING):
        make(combine=steps)
    found = [record.getMessage() for record in caplog.records if "close_epochs" in record.getMessage()]
    assert len(found) == is_never
    if is_never:
        assert (
            f"transforms.combine.four.close_epochs=5 leaves none of trainer.max_epochs={epochs}" in found[0]
        )
        assert "set it lower" in found[0]
