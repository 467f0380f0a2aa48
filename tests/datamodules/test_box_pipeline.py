"""Boxes, masks and labels after every step, against the pixels themselves."""

import pickle
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import albumentations as A
import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from datamodules.box_pipeline import BoxPipeline
from datamodules.box_steps import LargeScaleJitter, RandomIouCrop, ZoomOut
from datamodules.boxed_picture import BoxedPicture
from datamodules.transforms import compose_boxes
from tests.datamodules.scenes import BOXES, RECIPES, around, found, recipe, same, scene
from tests.datamodules.writers import picture

BLACK = (0, 0, 0)
KEEP_SIZE: dict[str, A.BasicTransform] = {
    "flip": A.HorizontalFlip(p=0.5),
    "crop": A.RandomCrop(height=50, width=60),
    "shift": A.Affine(translate_percent=(-0.3, 0.3), p=1.0),
    "zoom_out": ZoomOut(fill=BLACK, p=1.0),
    "iou_crop": RandomIouCrop(),
}
CHANGE_SIZE: dict[str, A.BasicTransform] = {
    "resize": A.SmallestMaxSize(max_size=150),
    "scale": A.Affine(scale=(0.5, 1.6), translate_percent=(-0.2, 0.2), p=1.0),
    "large_scale_jitter": LargeScaleJitter(size=100, low=0.2, fill=BLACK),
}
STEPS = KEEP_SIZE | CHANGE_SIZE


def pipeline(
    *steps: Any, channels: int = 3, min_visibility: float = 0.25, name: str = "transforms.train"
) -> BoxPipeline:
    named = {str(number): step for number, step in enumerate(steps)}
    return compose_boxes(named, channels=channels, min_visibility=min_visibility, name=name)


def check_against_pixels(result: BoxedPicture, *, slack: float = 1.01) -> None:
    rows = zip(result.boxes.tolist(), result.labels.tolist(), result.is_difficult.tolist(), strict=True)
    for position, (box, label, difficult) in enumerate(rows):
        pixels = found(result.picture, label)
        assert np.abs(np.array(around(pixels)) - box).max() <= slack
        assert difficult == (label % 2 == 1)
        if result.masks is None:
            continue
        mask = result.masks[position] > 0
        assert around(mask) == box
        assert result.areas[position] == mask.sum()
        assert (mask & pixels).sum() >= 0.8 * (mask | pixels).sum()


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_boxes_are_where_the_pixels_are(name: str, masks: bool) -> None:
    transform = pipeline(STEPS[name])
    kept: Counter[int] = Counter()
    for seed in range(40):
        result = transform(scene(masks=masks), seed=seed)
        assert (result.masks is None) == (not masks)
        check_against_pixels(result)
        kept.update(result.labels.tolist())
    assert len(kept) == 3
    assert min(kept.values()) >= 5


@pytest.mark.parametrize("name", KEEP_SIZE)
def test_an_object_is_dropped_only_when_little_of_it_is_left(name: str) -> None:
    before = scene()
    transform = pipeline(KEEP_SIZE[name], min_visibility=0.4)
    dropped = 0
    for seed in range(60):
        result = transform(before, seed=seed)
        for label in range(3):
            visible = found(result.picture, label).sum() / before.areas[label]
            if label in result.labels:
                assert visible >= 0.39
            elif name != "iou_crop":  # which drops by the centre
                assert visible <= 0.41
                dropped += 1
    assert dropped > 0 or name not in ("crop", "shift")


@pytest.mark.parametrize("masks", [False, True])
def test_turns_loosen_boxes_but_not_those_of_masks(masks: bool) -> None:
    """The box of a turned box is larger than that of the turned object, which only a mask tells."""
    before = scene(masks=masks)
    round_object = np.zeros((90, 110), np.uint8)
    y, x = np.mgrid[:90, :110]
    round_object[(x - 55) ** 2 + (y - 45) ** 2 <= 20**2] = 1
    before = replace(
        before.chosen(np.array([0])),
        picture=round_object[..., None].repeat(3, axis=2) * 255,
        boxes=np.array([[35, 25, 76, 66]], np.float32),
        masks=round_object[None] if masks else None,
    )
    result = pipeline(A.Affine(rotate=(45, 45), p=1.0))(before, seed=0)
    grown = (result.boxes[0, 2] - result.boxes[0, 0]) / 41
    assert grown == pytest.approx(1.0 if masks else 2**0.5, abs=0.05)
    check_against_pixels(result) if masks else None
    assert (result.boxes[0, :2] <= np.array(around(found(result.picture, 0)))[:2] + 1).all()


def test_areas_grow_with_the_object() -> None:
    before = replace(scene(), areas=np.array([100, 200, 300], np.float32))
    result = pipeline(A.Resize(height=180, width=330))(before, seed=0)
    assert np.allclose(result.areas, [600, 1200, 1800], rtol=1e-4)
    masked = pipeline(A.Resize(height=180, width=330))(scene(masks=True), seed=0)
    assert np.allclose(masked.areas, scene().areas * 6)


def test_an_object_whose_mask_leaves_is_dropped_though_its_box_stays() -> None:
    before = scene(masks=True)
    assert before.masks is not None
    before.masks[0, :, 10:] = 0  # of 5 to 35, all but 5 to 10
    result = pipeline(A.Crop(x_min=12, y_min=0, x_max=110, y_max=90))(before, seed=0)
    assert result.labels.tolist() == [1, 2]
    assert result.masks is not None
    assert len(result.masks) == len(result.areas) == len(result.is_crowd) == 2


@pytest.mark.parametrize("masks", [False, True])
def test_all_objects_may_leave(masks: bool) -> None:
    result = pipeline(A.Crop(x_min=0, y_min=0, x_max=5, y_max=8), A.HorizontalFlip(p=1.0))(
        scene(masks=masks), seed=0
    )
    assert len(result) == 0
    assert result.boxes.shape == (0, 4)
    assert result.boxes.dtype == np.float32
    assert result.labels.dtype == np.int64
    assert result.masks is None if not masks else result.masks is not None and result.masks.shape == (0, 8, 5)


def test_nothing_that_is_left_is_smaller_than_a_pixel() -> None:
    outside = A.Crop(x_min=0, y_min=0, x_max=5, y_max=8)
    assert len(pipeline(outside, min_visibility=0.0)(scene(), seed=0)) == 0
    shrunk = pipeline(A.Resize(height=3, width=11), min_visibility=0.0)(scene(), seed=0)
    assert shrunk.labels.tolist() == [0, 2]  # the other is 20 of 90 rows high


def test_many_objects_keep_their_order() -> None:
    boxes = np.array([[i % 100, i // 100, i % 100 + 3, i // 100 + 3] for i in range(3000)], np.float32)
    flags = np.arange(3000) % 3 == 0
    before = BoxedPicture(
        picture=picture(0, height=90, width=110),
        boxes=boxes,
        labels=np.arange(3000),
        areas=np.full(3000, 9, np.float32),
        is_crowd=flags,
        is_difficult=~flags,
    )
    result = pipeline(A.HorizontalFlip(p=1.0))(before, seed=0)
    assert np.array_equal(result.labels, np.arange(3000))
    assert np.allclose(result.boxes[:, 0], 110 - boxes[:, 2], atol=1e-3)
    assert np.array_equal(result.is_crowd, flags)


@pytest.mark.parametrize("masks", [False, True])
def test_a_recipe_without_steps_changes_nothing(masks: bool) -> None:
    tiny: tuple[tuple[int, int, int, int], ...] = ((5, 8, 5, 8), (109, 0, 110, 1))
    for before in (scene(masks=masks), scene((), masks=masks), scene(tiny, masks=masks)):
        assert same(pipeline()(before, seed=0), before)
        assert same(pipeline(None)(before, seed=0), before)


@pytest.mark.filterwarnings("error")
def test_colour_steps_leave_objects_exactly_as_they_are() -> None:
    before = replace(scene(masks=True), boxes=scene().boxes + np.float32(0.123))
    result = pipeline(A.ColorJitter(p=1.0))(before, seed=0)
    assert not np.array_equal(result.picture, before.picture)
    assert same(replace(result, picture=before.picture), before)


def test_grey_data_stay_grey() -> None:
    for steps in ((), (A.ColorJitter(p=1.0),), (A.HorizontalFlip(p=1.0),)):
        result = pipeline(*steps, channels=1)(scene(), seed=0)
        assert (result.picture == result.picture[..., :1]).all()
        assert len(result) == 3


CHANGING = [name for name in RECIPES if recipe(name)["train"]]  # detection_none has no steps
assert CHANGING, "no recipe of detection changes pictures for training"


@pytest.mark.filterwarnings("error")  # albumentations only warns about arguments it does not know
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_every_picture(name: str) -> None:
    parts = recipe(name)
    transform = pipeline(*parts["train"].values())
    pictures = [
        scene((), height=height, width=width, masks=masks)
        for height, width in ((1, 7), (128, 40))
        for masks in (False, True)
    ]
    views = [
        transform(before, seed=seed)
        for before in (*pictures, scene(), scene(masks=True))
        for seed in range(15)
    ]
    for view in views:
        assert view.picture.dtype == np.uint8
        assert view.picture.shape[2:] == (3,)
        assert view.boxes.dtype == view.areas.dtype == np.float32
        assert len(view.boxes) == len(view.labels) == len(view.areas)
        assert (view.boxes[:, 2:] - view.boxes[:, :2] >= 0.99).all()
        assert (view.boxes >= 0).all()
        assert (view.boxes[:, 2:] <= np.array(view.picture.shape[1::-1]) + 1e-3).all()
        assert view.masks is None or view.masks.shape == (len(view), *view.picture.shape[:2])
    assert sum(len(view) for view in views) > 30
    assert parts["eval"] == {}


@pytest.mark.parametrize("name", CHANGING)
def test_every_recipe_depends_on_its_seed_only_and_changes_no_input(name: str) -> None:
    steps = recipe(name)["train"].values()
    one, other = pipeline(*steps), pickle.loads(pickle.dumps(pipeline(*steps)))
    before = scene(masks=True)
    kept = deepcopy(before)
    first = [one(before, seed=seed) for seed in range(6)]
    np.random.seed(3)
    assert all(same(view, other(before, seed=seed)) for seed, view in reversed(list(enumerate(first))))
    assert any(not same(first[0], view) for view in first[1:])
    assert same(before, kept)


@pytest.mark.parametrize("name", CHANGING)
def test_every_recipe_mirrors_only_where_the_data_allows(name: str) -> None:
    for flip in (0.0, 1.0):
        parts = recipe(name, flip=flip)
        mirrors = [step.p for step in parts["train"].values() if isinstance(step, A.HorizontalFlip)]
        mirrors += [
            step.horizontal_flip
            for step in parts.get("combine", {}).values()
            if hasattr(step, "horizontal_flip")
        ]
        assert set(mirrors) == {flip}


def test_steps_draw_independently() -> None:
    transform = pipeline(A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5))
    seen = Counter(tuple(transform(scene(), seed=seed).boxes[0].round().tolist()) for seed in range(200))
    assert len(seen) == 4
    assert min(seen.values()) > 25


def test_the_iou_crop_keeps_what_the_paper_asks_for() -> None:
    """Either the whole picture, or some box overlaps the patch enough; objects stay by their centre."""
    transform = pipeline(RandomIouCrop(overlaps=[0.3]), min_visibility=0.0)
    big = (((10, 10, 80, 70)), (85, 50, 108, 88))
    cut = 0
    for seed in range(80):
        result = transform(scene(big), seed=seed)
        height, width = result.picture.shape[:2]
        if (height, width) == (90, 110):
            continue
        cut += 1
        assert 0.5 <= width / height <= 2
        assert height >= 0.3 * 90 - 1
        assert width >= 0.3 * 110 - 1
        overlaps = []
        for label, (left, top, right, bottom) in enumerate(big):
            visible = found(result.picture, label).sum()
            if label in result.labels:
                overlaps.append(visible / (height * width + (right - left) * (bottom - top) - visible))
                assert visible / ((right - left) * (bottom - top)) >= 0.24  # follows from the centre
        assert max(overlaps) >= 0.299
    assert cut > 60


def test_the_iou_crop_draws_its_sides_from_the_whole_range() -> None:
    transform = pipeline(RandomIouCrop(overlaps=[0.0]), min_visibility=0.0)
    sides = np.array([transform(scene(), seed=seed).picture.shape[:2] for seed in range(150)]) / (90, 110)
    assert 0.28 <= sides.min() < 0.36
    assert sides.max() > 0.94


def torchvision_view(step: v2.Transform, before: BoxedPicture) -> tuple[float, float, int]:
    """Relative sides of the view and number of objects that are left."""
    image = tv_tensors.Image(torch.from_numpy(before.picture.transpose(2, 0, 1).copy()))
    boxes = tv_tensors.BoundingBoxes(
        torch.from_numpy(before.boxes), format="XYXY", canvas_size=before.picture.shape[:2]
    )
    shown, moved = step(image, boxes)
    left = (moved[:, 2:] - moved[:, :2] > 0).all(dim=1).sum()
    return shown.shape[1] / 90, shown.shape[2] / 110, int(left)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RandomIouCrop(), v2.RandomIoUCrop()),
        (ZoomOut(max_side=4.0, p=1.0), v2.RandomZoomOut(side_range=(1.0, 4.0), p=1.0)),
    ],
)
def test_ssd_steps_are_distributed_as_in_torchvision(ours: Any, theirs: v2.Transform) -> None:
    transform, before = pipeline(ours, min_visibility=0.0), scene()
    mine = []
    for seed in range(250):
        result = transform(before, seed=seed)
        mine.append((result.picture.shape[0] / 90, result.picture.shape[1] / 110, len(result)))
    torch.manual_seed(0)
    other = np.array([torchvision_view(theirs, before) for _ in range(250)])
    own = np.array(mine)
    spread = np.maximum(other.std(axis=0), 0.02)
    assert (np.abs(own.mean(axis=0) - other.mean(axis=0)) < 0.25 * spread).all()
    assert np.allclose(own.std(axis=0), other.std(axis=0), rtol=0.2, atol=0.01)
    assert np.allclose(
        np.quantile(own[:, 0], [0.1, 0.5, 0.9]), np.quantile(other[:, 0], [0.1, 0.5, 0.9]), atol=0.3
    )


def test_zoom_out_fills_with_its_colour() -> None:
    result = pipeline(ZoomOut(fill=[1, 2, 3], p=1.0))(scene(), seed=1)
    inside = (result.picture == 0).sum(axis=2) >= 2
    assert inside.sum() == 90 * 110
    assert (result.picture[~inside] == [1, 2, 3]).all()


def test_large_scale_jitter_is_uniform_around_the_size_that_fits() -> None:
    transform = pipeline(LargeScaleJitter(size=110, low=0.1, high=2.0, fill=BLACK))
    scales = []
    for seed in range(300):
        result = transform(scene(((0, 0, 110, 90),)), seed=seed)
        assert result.picture.shape == (110, 110, 3)
        scales.append(around(found(result.picture, 0))[2] / 110)
    low = np.array(scales)
    assert 0.1 <= low.min() < 0.15
    assert (low > 0.995).mean() == pytest.approx(1.0 / 1.9, abs=0.08)  # cropped where larger than 1
    assert low[low < 0.995].mean() == pytest.approx(0.55, abs=0.06)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((A.Normalize(),), r"transforms\.train gives float32 pixels; leave out"),
        ((A.RandomCrop(height=500, width=500),), r"transforms\.train cannot take a picture of 90x110 pixels"),
        (
            (A.OneOf([A.OverlayElements()]),),
            r"transforms\.train has the step OverlayElements, which does not",
        ),
    ],
)
def test_recipes_that_cannot_work_are_named(steps: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pipeline(*steps)(scene(), seed=0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pipeline(min_visibility=1.5), r"data\.min_visibility=1\.5 must be in \[0, 1\]"),
        (lambda: RandomIouCrop(overlaps=[0.5, 2.0]), r"overlaps in \[0, 1\], not overlaps=\[0\.5, 2\.0\]"),
        (lambda: RandomIouCrop(overlaps=[]), r"not overlaps=\[\]"),
        (lambda: RandomIouCrop(min_side=0.0), r"0 < min_side <= 1, .* min_side=0\.0"),
        (lambda: RandomIouCrop(max_aspect=0.5), r"max_aspect=0\.5"),
        (lambda: RandomIouCrop(trials=0), r"trials=0"),
        (lambda: ZoomOut(max_side=0.5), r"max_side >= 1, not max_side=0\.5"),
        (lambda: ZoomOut(fill=[1, 2]), r"ZoomOut takes fill=\[r, g, b\] .* fill=\[1, 2\]"),
        (lambda: LargeScaleJitter(size=8, fill=[0, 0, 256]), r"fill=\[0, 0, 256\]"),
        (lambda: LargeScaleJitter(size=8, low=0.0), r"0 < low <= high .* low=0\.0"),
        (lambda: LargeScaleJitter(size=8, low=3.0), r"low=3\.0, high=2\.0"),
        (lambda: LargeScaleJitter(size="big"), r"valid integer"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_the_scene_itself_is_right() -> None:
    check_against_pixels(scene(masks=True), slack=0)
    assert scene().boxes.tolist() == [list(box) for box in BOXES]
