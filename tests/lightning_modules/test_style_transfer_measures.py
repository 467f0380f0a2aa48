"""Each measure of style transfer against a slow loop or another library."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.metrics import structural_similarity as second_opinion

from lightning_modules.metrics.style_transfer import gram_distance, mean_measures, structural_similarity
from tests.lightning_modules.styled import picture


def luminance(image: torch.Tensor) -> NDArray[np.float64]:
    red, green, blue = (image.double() / 255).numpy()
    found: NDArray[np.float64] = 0.299 * red + 0.587 * green + 0.114 * blue
    return found


@pytest.mark.parametrize(("height", "width"), [(32, 32), (45, 60), (11, 11), (300, 150)])
def test_similarity_is_that_of_scikit_image(height: int, width: int) -> None:
    a, b = (picture(seed, height=height, width=width) for seed in (1, 2))
    b = (0.5 * a + 0.5 * b).to(torch.uint8)
    expected = second_opinion(  # type: ignore[no-untyped-call]
        luminance(a),
        luminance(b),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert 0.2 < expected < 0.95
    assert structural_similarity(a[None] / 255, b[None] / 255) == pytest.approx(expected, abs=1e-6)


def test_similarity_sees_layout_and_not_colours() -> None:
    grey = picture(1)[:1].expand(3, -1, -1).float()[None] / 255
    assert structural_similarity(grey, grey) == pytest.approx(1)
    shift = torch.tensor([0.1, -0.0299 / 0.587, 0]).view(3, 1, 1)  # of no luminance
    assert structural_similarity(grey + shift, grey) == pytest.approx(1, abs=1e-6)
    assert structural_similarity(grey.flip(3), grey) < 0.5


def test_similarity_of_a_picture_under_its_window_is_unknown() -> None:
    small = torch.rand(1, 3, 10, 40)
    assert math.isnan(structural_similarity(small, small))


def test_gram_distance_equals_a_slow_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    grams = [torch.rand(1, size, size, generator=generator) for size in (2, 3)]
    targets = [torch.rand(1, size, size, generator=generator) for size in (2, 3)]
    ratios = []
    for gram, target in zip(grams, targets, strict=True):
        apart, own = 0.0, 0.0
        for row in range(gram.shape[1]):
            for column in range(gram.shape[1]):
                apart += float(gram[0, row, column] - target[0, row, column]) ** 2
                own += float(target[0, row, column]) ** 2
        ratios.append(math.sqrt(apart / own))
    assert gram_distance(grams, targets) == pytest.approx(sum(ratios) / 2)
    assert gram_distance(targets, targets) == 0
    assert gram_distance([0 * each for each in targets], targets) == pytest.approx(1)


def test_means_count_a_picture_once_whoever_saw_it() -> None:
    first = {0: {"loss": 1.0, "ssim": 0.5}, 1: {"loss": 2.0, "ssim": 0.25}}
    second = {1: {"loss": 2.0, "ssim": 0.25}, 2: {"loss": 6.0, "ssim": 0.75}}
    assert mean_measures([first, second]) == {"loss": 3.0, "ssim": 0.5}
    assert mean_measures([{}]) == {}
