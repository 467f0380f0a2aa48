"""Recipes for pictures with masks: both move together, and what comes in at the border does not count."""

import pickle
import random
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytest

from datamodules.arrays import ByteArray
from datamodules.batch import IGNORED
from datamodules.box_steps import LargeScaleJitter
from datamodules.mask_pipeline import MaskPipeline
from datamodules.mask_steps import RandomScaleCrop
from datamodules.transforms import compose_masks
from tests.datamodules.scenes import recipe
from tests.datamodules.writers import recipes_of

RECIPES = recipes_of("segmentation")
SIZE = 64
FILL = (124, 116, 104)


def blocks(
    height: int = 90, width: int = 110, *, side: int = 30, seed: int = 0
) -> tuple[ByteArray, ByteArray]:
    """A picture of coloured blocks and its mask; red says the class: 20 * class id."""
    generator = np.random.default_rng(seed)
    rows, columns = -(-height // side), -(-width // side)
    small = generator.integers(1, 12, size=(rows, columns), dtype=np.uint8)
    mask = small.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
    picture = np.stack([mask * 20, np.full_like(mask, 60), np.full_like(mask, 60)], axis=-1)
    return np.ascontiguousarray(picture), np.ascontiguousarray(mask)


def pipeline(
    *steps: Any, size: int | None = None, channels: int = 3, name: str = "transforms.train"
) -> MaskPipeline:
    named = {str(number): step for number, step in enumerate(steps)}
    return compose_masks(named, image_size=size, channels=channels, name=name)


def geometry(name: str) -> MaskPipeline:
    """The steps of a recipe that move pixels."""
    steps = [step for step in recipe(name, size=SIZE)["train"].values() if isinstance(step, A.DualTransform)]
    return pipeline(*steps, size=SIZE)


@pytest.mark.filterwarnings("error")  # albumentations only warns about arguments it does not know
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_every_picture(name: str) -> None:
    parts = recipe(name, size=SIZE)
    transform = pipeline(*parts["train"].values(), size=SIZE)
    for height, width in ((1, 7), (128, 40), (64, 64), (200, 300)):
        for seed in range(12):
            picture, mask = transform(*blocks(height, width), seed=seed)
            assert picture.shape == (SIZE, SIZE, 3) and mask.shape == (SIZE, SIZE)
            assert picture.dtype == mask.dtype == np.uint8
            assert set(np.unique(mask).tolist()) <= {*range(1, 12), IGNORED}
    assert parts["eval"] == {}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_depends_on_its_seed_only_and_changes_no_input(name: str) -> None:
    steps = recipe(name, size=SIZE)["train"].values()
    one, other = pipeline(*steps, size=SIZE), pickle.loads(pickle.dumps(pipeline(*steps, size=SIZE)))
    picture, mask = blocks()
    first = [one(picture, mask, seed=seed) for seed in range(6)]
    np.random.seed(3)
    random.seed(3)
    for seed, (moved, moved_mask) in reversed(list(enumerate(first))):
        again = other(picture, mask, seed=seed)
        assert np.array_equal(again[0], moved) and np.array_equal(again[1], moved_mask)
    assert any(not np.array_equal(first[0][1], view[1]) for view in first[1:])
    assert np.array_equal(mask, blocks()[1]) and np.array_equal(picture, blocks()[0])


@pytest.mark.parametrize("name", RECIPES)
def test_the_mask_moves_as_its_picture(name: str) -> None:
    """Red says the class, so picture and mask must agree wherever a class is not mixed with its neighbour."""
    transform = geometry(name)
    compared = 0
    for seed in range(30):
        picture, mask = transform(*blocks(seed=seed), seed=seed)
        # Twice as large and turned, a pixel four away from the next block is its own.
        kernel = np.ones((9, 9), dtype=np.uint8)
        eroded = cv2.erode(mask, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        is_inside = (eroded == cv2.dilate(mask, kernel)) & (mask != IGNORED)
        assert np.array_equal(picture[is_inside][:, 0], mask[is_inside] * 20)
        compared += int(is_inside.sum())
    assert compared > 20_000


@pytest.mark.parametrize("name", RECIPES)
def test_what_comes_in_at_the_border_does_not_count(name: str) -> None:
    """Padding is grey, and no block is: where the picture is padding, the mask does not count, and back."""
    transform = geometry(name)
    seen = 0
    for seed in range(20):
        picture, mask = transform(*blocks(40, 30, seed=seed), seed=seed)
        is_padding = (picture == FILL).all(axis=-1)
        assert (mask[is_padding] == IGNORED).all()
        near = cv2.dilate(is_padding.astype(np.uint8), np.ones((5, 5), dtype=np.uint8)) > 0
        assert near[mask == IGNORED].mean() > 0.95  # the others are mixed with padding
        seen += int(is_padding.sum())
    assert seen > 1000


def test_padding_and_crops_are_exact_to_the_pixel() -> None:
    transform = geometry("segmentation_none")
    for seed in range(10):
        picture, mask = transform(*blocks(50, 120, side=7, seed=seed), seed=seed)
        counts = mask != IGNORED
        assert np.array_equal(picture[counts][:, 0], mask[counts] * 20)
        assert counts.sum() == 50 * SIZE
        assert (picture[~counts] == FILL).all()


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_mirrors_only_where_the_data_allows(name: str) -> None:
    for flip in (0.0, 1.0):
        steps = recipe(name, flip=flip)["train"].values()
        mirrors = [step.p for step in steps if isinstance(step, A.HorizontalFlip)]
        assert mirrors == ([] if name == "segmentation_none" else [flip])


def test_scales_are_drawn_between_the_ends_and_masks_are_sampled_at_centres() -> None:
    picture, mask = blocks(60, 60, side=30)
    scales = set()
    for seed in range(40):
        _, moved = pipeline(RandomScaleCrop(size=200, low=0.5, high=2.0))(picture, mask, seed=seed)
        rows = np.flatnonzero((moved != IGNORED).any(axis=1))
        scales.add(len(rows) / 60)
        assert abs((rows[0] + rows[-1]) / 2 - 99.5) <= 0.5  # in the middle
    assert 0.5 <= min(scales) < 0.7 and 1.8 < max(scales) <= 2.0
    # Three times as large, each class id is there three by three times, none half a pixel further.
    small = np.arange(1, 10, dtype=np.uint8).reshape(3, 3)
    exact = pipeline(RandomScaleCrop(size=9, low=3.0, high=3.0))
    _, large = exact(np.zeros((3, 3, 3), dtype=np.uint8), small, seed=0)
    assert np.array_equal(large, small.repeat(3, axis=0).repeat(3, axis=1))
    third = pipeline(RandomScaleCrop(size=3, low=1 / 3, high=1 / 3))
    _, again = third(np.zeros((9, 9, 3), dtype=np.uint8), large, seed=0)
    assert np.array_equal(again, small)
    with pytest.raises(ValueError, match="RandomScaleCrop takes 0 < low <= high"):
        RandomScaleCrop(size=9, low=2.0, high=1.0)


def test_steps_draw_independently() -> None:
    transform = pipeline(A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5))
    picture, mask = blocks()
    seen = {transform(picture, mask, seed=seed)[1].tobytes() for seed in range(60)}
    assert len(seen) == 4


def test_without_steps_nothing_changes() -> None:
    picture, mask = blocks()
    transform = pipeline()
    assert not transform.moves
    found = transform(picture, mask, seed=0)
    assert found[0] is picture and found[1] is mask


def test_steps_of_colour_leave_the_mask_alone() -> None:
    picture, mask = blocks()
    transform = pipeline(A.RandomBrightnessContrast(p=1.0))
    assert not transform.moves
    found = transform(picture, mask, seed=0)
    assert not np.array_equal(found[0], picture)
    assert found[1] is mask


def test_grey_data_stay_grey() -> None:
    picture, _ = pipeline(A.ColorJitter(p=1.0), channels=1)(*blocks(), seed=0)
    assert (picture == picture[..., :1]).all()


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (A.Affine(rotate=5), r"Affine with fill_mask=0.*set fill_mask: 255"),
        (A.OneOf([A.NoOp(), A.PadIfNeeded(80, 80)]), "PadIfNeeded with fill_mask=0"),
        (A.RandomCrop(8, 8, pad_if_needed=True), "RandomCrop with fill_mask=0"),
        (A.RandomScale(mask_interpolation=cv2.INTER_LINEAR), "RandomScale with mask_interpolation=1"),
        (LargeScaleJitter(size=32), "LargeScaleJitter, which is for pictures with boxes"),
    ],
)
def test_steps_that_would_spoil_masks_are_refused(step: Any, message: str) -> None:
    with pytest.raises(
        ValueError, match=f"transforms.train has the {message}" if message[:4] == "step" else message
    ):
        pipeline(step)


def test_steps_that_need_no_border_are_taken() -> None:
    pipeline(A.RandomCrop(8, 8), A.Affine(rotate=5, border_mode=cv2.BORDER_REFLECT_101))


@pytest.mark.parametrize("kind", ["CoarseDropout", "Erasing", "GridDropout", "XYMasking"])
def test_holes_may_leave_the_mask_alone(kind: str) -> None:
    step = getattr(A, kind)(fill_mask=None, p=1.0)
    picture, mask = blocks()
    found = pipeline(step)(picture, mask, seed=0)
    assert np.array_equal(found[1], mask)
    with pytest.raises(ValueError, match=f"{kind} with fill_mask=0"):
        pipeline(getattr(A, kind)(fill_mask=0))


def test_another_size_than_that_of_training_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"gives pictures of 90x110 pixels, but data.image_size=64; .*pad_if"
    ):
        pipeline(A.HorizontalFlip(p=1.0), size=64)(*blocks(), seed=0)
    with pytest.raises(ValueError, match="gives float32 pixels"):
        pipeline(A.Normalize())(*blocks(), seed=0)
    with pytest.raises(ValueError, match="transforms.train cannot take a picture of 90x110 pixels"):
        pipeline(A.RandomCrop(100, 100))(*blocks(), seed=0)
