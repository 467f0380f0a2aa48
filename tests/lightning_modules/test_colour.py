"""Colours that are kept or matched, exactly."""

import pytest
import torch
from torch import Tensor

from lightning_modules.colour import keep_chroma, match_histogram, to_rgb, to_yiq


def picture(*, seed: int, height: int = 12, width: int = 9) -> Tensor:
    """Two RGB pictures whose channels are of different spread and correlated."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64)
    mixing = torch.rand(3, 3, generator=generator, dtype=torch.float64)
    return torch.einsum("ij,bjhw->bihw", mixing / mixing.sum(dim=1, keepdim=True), raw)


def covariance(images: Tensor) -> Tensor:
    return torch.stack([torch.cov(each.flatten(1), correction=0) for each in images])


def test_yiq_and_back() -> None:
    images = picture(seed=0)
    assert torch.allclose(to_rgb(to_yiq(images)), images, atol=1e-12)
    grey = torch.full((1, 3, 2, 2), 0.4, dtype=torch.float64)
    assert torch.allclose(to_yiq(grey)[:, 0], torch.tensor(0.4, dtype=torch.float64))
    assert to_yiq(grey)[:, 1:].abs().max() < 1e-6


def test_the_chroma_stays_exactly_the_contents() -> None:
    content, painted = picture(seed=0), picture(seed=1)
    kept = keep_chroma(painted, content)
    assert torch.allclose(to_yiq(kept)[:, 1:], to_yiq(content)[:, 1:], atol=1e-12)
    assert kept.min() >= 0 and kept.max() <= 1
    fits = (to_yiq(kept)[:, :1] - to_yiq(painted)[:, :1]).abs() < 1e-9
    assert fits.double().mean() > 0.9
    assert not torch.allclose(kept, content, atol=0.05)


def test_chroma_and_range_hold_where_no_such_colour_exists() -> None:
    """Pure red cannot be as bright as white, nor as dark as black."""
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    for painted in (torch.ones(1, 3, 1, 1), torch.zeros(1, 3, 1, 1)):
        assert torch.allclose(keep_chroma(painted, red), red, atol=1e-6)


def test_a_painting_of_32_bits_stays_one() -> None:
    content = picture(seed=0).float()
    assert keep_chroma(content, content).dtype == match_histogram(content, content).dtype == torch.float32
    assert torch.allclose(keep_chroma(content, content), content, atol=1e-6)


def test_mean_and_covariance_are_matched_exactly() -> None:
    images, like = picture(seed=0), picture(seed=1, height=7, width=20)
    matched = match_histogram(images, like)
    assert matched.shape == images.shape
    assert torch.allclose(matched.mean(dim=(2, 3)), like.mean(dim=(2, 3)), atol=1e-12)
    assert torch.allclose(covariance(matched), covariance(like), atol=1e-12)
    assert not torch.allclose(covariance(images), covariance(like), atol=1e-3)


def test_a_picture_that_has_the_colours_already_is_left_alone() -> None:
    images = picture(seed=0)
    assert torch.allclose(match_histogram(images, images), images, atol=1e-9)
    turned = images.flip(3)
    assert torch.allclose(match_histogram(turned, images), turned, atol=1e-9)


def test_the_rounding_of_grey_pictures_does_not_become_colour() -> None:
    like = picture(seed=1)
    noise = torch.randn(like.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    grey = picture(seed=0)[:, :1].expand(-1, 3, -1, -1) + 1e-7 * noise
    spread = torch.linalg.eigvalsh(covariance(match_histogram(grey, like)))
    assert (spread[:, :2] < 1e-9).all() and (spread[:, 2] > 1e-3).all()


@pytest.mark.parametrize("source", ["grey", "one colour"])
def test_pictures_without_colours_take_the_mean_and_stay_finite(source: str) -> None:
    like = picture(seed=1)
    images = picture(seed=0)[:, :1].expand(-1, 3, -1, -1)
    if source == "one colour":
        images = torch.full_like(like, 0.3)
    matched = match_histogram(images, like)
    assert torch.isfinite(matched).all() and matched.abs().max() < 5
    assert torch.allclose(matched.mean(dim=(2, 3)), like.mean(dim=(2, 3)), atol=1e-12)
