"""Our own steps against slow copies, every recipe on awkward pictures, and independent randomness."""

import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import albumentations
import cv2
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from datamodules.picture_pipeline import Pipeline
from datamodules.transforms import (
    EIGENVALUES,
    EIGENVECTORS,
    INTERPOLATIONS,
    PcaLighting,
    RandomInterpolationResizedCrop,
    ScaleJitter,
    compose,
)
from tests.datamodules.writers import CONF, picture, recipes_of

RECIPES = recipes_of("classification")  # those end at a fixed size


def recipe(name: str, *, size: int = 32, flip: float = 0.5) -> dict[str, Any]:
    config = OmegaConf.create(
        {
            "data": {"image_size": size, "horizontal_flip": flip},
            "transforms": OmegaConf.load(CONF / f"transforms/{name}.yaml"),
        }
    )
    plain: Any = OmegaConf.to_container(config, resolve=True)
    built: dict[str, Any] = instantiate(plain["transforms"], _convert_="all")
    return built


def pipeline(steps: dict[str, Any], *, size: int = 32, channels: int = 3) -> Pipeline:
    return compose(steps, image_size=size, channels=channels, name="transforms.train")


@pytest.mark.filterwarnings("error")  # albumentations only warns about arguments it does not know
@pytest.mark.parametrize("kind", ["train", "eval"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_gives_the_size_and_only_training_varies(name: str, kind: str) -> None:
    transform = pipeline(recipe(name)[kind])
    for height, width in ((32, 32), (20, 61), (90, 40), (1, 7)):
        found = [transform(picture(0, height=height, width=width), seed=seed) for seed in range(12)]
        assert all(image.shape == (3, 32, 32) and image.dtype == torch.uint8 for image in found)
        if height > 1:
            varies = any(not torch.equal(found[0], other) for other in found[1:])
            assert varies == (kind == "train" and name != "none")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_mirrors_only_where_the_data_allows(name: str) -> None:
    for flip in (0.0, 1.0):
        steps = recipe(name, flip=flip)["train"].values()
        mirrors = [step.p for step in steps if isinstance(step, albumentations.HorizontalFlip)]
        assert mirrors == ([] if name == "none" else [flip])


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_depends_on_its_seed_only(name: str) -> None:
    image = picture(0, height=40, width=50)
    steps = recipe(name)["train"]
    one, other = pipeline(steps), pickle.loads(pickle.dumps(pipeline(steps)))
    first = one(image, seed=5)
    for noise in range(3):
        other(image, seed=noise)
    np.random.seed(3)
    assert torch.equal(first, other(image, seed=5))


@pytest.mark.parametrize("name", ["none", "light", "heavy"])
def test_evaluation_leaves_a_picture_of_the_right_size_alone(name: str) -> None:
    image = picture(0, height=32, width=32)
    assert np.array_equal(pipeline(recipe(name)["eval"])(image, seed=0).numpy().transpose(1, 2, 0), image)


def test_heavy_is_heavier_than_light() -> None:
    image = picture(0, height=32, width=32)
    moved = {}
    for name in ("light", "heavy"):
        transform = pipeline(recipe(name)["train"])
        found = [transform(image, seed=seed).numpy().transpose(1, 2, 0) for seed in range(40)]
        moved[name] = np.mean([np.abs(view.astype(int) - image).mean() for view in found])
    assert moved["heavy"] > 1.3 * moved["light"] > 0


def test_steps_draw_independently() -> None:
    """With the library's own seed both flips always happen together."""
    flips = {"across": albumentations.HorizontalFlip(p=0.5), "down": albumentations.VerticalFlip(p=0.5)}
    transform = pipeline(flips, size=2)
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    seen = Counter(transform(image, seed=seed)[0].flatten().tolist()[0] for seed in range(400))
    assert len(seen) == 4
    assert min(seen.values()) > 60


def test_a_step_set_to_none_is_left_out() -> None:
    image = picture(0, height=32, width=32)
    assert np.array_equal(pipeline({"flip": None})(image, seed=0).numpy().transpose(1, 2, 0), image)


def test_grey_data_stay_grey_under_colour_steps() -> None:
    found = pipeline({"colour": PcaLighting(std=3.0)}, channels=1)(np.full((32, 32, 3), 99, np.uint8), seed=0)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    coloured = pipeline({"colour": PcaLighting(std=3.0)})(np.full((32, 32, 3), 99, np.uint8), seed=0)
    assert not torch.equal(coloured[0], coloured[2])


def test_a_recipe_of_another_size_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"transforms\.train gives pictures of 20x30 pixels, but data\.image_size=32"
    ):
        pipeline({})(picture(0), seed=0)


def test_a_recipe_that_normalises_is_refused() -> None:
    with pytest.raises(ValueError, match=r"transforms\.train gives float32 pixels; leave out"):
        pipeline({"scale": albumentations.Normalize()})(picture(0, height=32, width=32), seed=0)


def test_lighting_against_a_loop_over_pixels() -> None:
    image = picture(0, height=5, width=4)
    step = PcaLighting(std=0.5)
    alpha = np.array([0.9, -0.4, 0.7])
    slow = np.empty_like(image)
    for y in range(5):
        for x in range(4):
            for channel in range(3):
                shift = sum(EIGENVECTORS[channel, k] * alpha[k] * EIGENVALUES[k] for k in range(3))
                slow[y, x, channel] = np.clip(round(float(image[y, x, channel]) + 255 * shift), 0, 255)
    assert np.array_equal(step.apply(image, alpha=alpha), slow)


def test_lighting_draws_with_the_deviation() -> None:
    step = PcaLighting(std=0.1)
    step.set_random_seed(0)
    draws = np.stack([step.get_params()["alpha"] for _ in range(2000)])
    assert draws.shape == (2000, 3)
    assert np.abs(draws.mean(axis=0)).max() < 0.01
    assert np.abs(draws.std(axis=0) - 0.1).max() < 0.01


def test_principal_components_are_orthonormal() -> None:
    assert np.allclose(EIGENVECTORS.T @ EIGENVECTORS, np.eye(3), atol=1e-3)
    assert (np.diff(EIGENVALUES) < 0).all()


def test_scale_jitter_is_uniform_over_the_short_side() -> None:
    step = ScaleJitter(crop_size=224, low=1.142857, high=2.285714)
    step.set_random_seed(0)
    found = [step(image=np.zeros((300, 400, 3), np.uint8))["image"].shape for _ in range(400)]
    sides = np.array([height for height, _, _ in found])
    assert all(abs(width - height * 4 / 3) <= 1 for height, width, _ in found)
    assert 256 <= sides.min() <= 260
    assert 508 <= sides.max() <= 512
    assert abs(sides.mean() - 384) < 12


def test_scale_jitter_averages_when_it_shrinks() -> None:
    noise = np.random.default_rng(0).integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
    small = ScaleJitter(crop_size=16)(image=noise)["image"]
    averages = noise.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - averages).max() <= 0.51


def test_the_inception_crop_keeps_its_ranges_and_uses_every_interpolation() -> None:
    step = RandomInterpolationResizedCrop(size=8)
    step.set_random_seed(0)
    image = np.zeros((200, 300, 3), np.uint8)
    used = set()
    areas = []
    for _ in range(300):
        drawn = step.get_params_dependent_on_data({"shape": image.shape}, {"image": image})
        left, top, right, bottom = drawn["crop_coords"]
        areas.append((right - left) * (bottom - top) / 60000)
        assert 0.72 <= (right - left) / (bottom - top) <= 1.38
        used.add(step.interpolation)
    assert used == set(INTERPOLATIONS)
    assert 0.07 <= min(areas) < 0.15
    assert 0.85 < max(areas) <= 1


def test_the_inception_crop_really_resizes_with_what_it_drew() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 200
    found = set()
    for seed in range(30):
        step = RandomInterpolationResizedCrop(size=8, min_area=1.0, max_aspect=1.0)
        step.set_random_seed(seed)
        result = step(image=image)["image"]
        assert np.array_equal(result, cv2.resize(image, (8, 8), interpolation=step.interpolation))
        found.add(result.tobytes())
    assert len(found) >= 4


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PcaLighting(std=-1.0), r"PcaLighting takes std >= 0, not std=-1\.0"),
        (lambda: ScaleJitter(crop_size=8, low=0.5), r"1 <= low <= high .* not low=0\.5"),
        (lambda: ScaleJitter(crop_size=8, low=2.0, high=1.5), r"not low=2\.0, high=1\.5"),
        (lambda: RandomInterpolationResizedCrop(size=8, min_area=0.0), r"0 < min_area .* not min_area=0\.0"),
        (lambda: RandomInterpolationResizedCrop(size=8, max_aspect=0.5), r"max_aspect=0\.5"),
        (lambda: PcaLighting(std="much"), r"valid number"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
