"""Pixels against numpy."""

import numpy as np
import pytest
import torch

from lightning_modules.preprocessing import Normalise


def images() -> torch.Tensor:
    return torch.randint(256, (2, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_colour() -> None:
    mean, std = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
    found = Normalise(channels=3, mean=mean, std=std)(images())
    expected = (images().numpy() / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_grey_is_luma_and_leaves_grey_images_as_they_are() -> None:
    normalise = Normalise(channels=1, mean=[0.5], std=[0.25])
    red, green, blue = images().numpy().transpose(1, 0, 2, 3) / 255
    expected = (0.299 * red + 0.587 * green + 0.114 * blue - 0.5) / 0.25
    np.testing.assert_allclose(normalise(images())[:, 0].numpy(), expected, atol=1e-5)

    grey = images()[:, :1].repeat(1, 3, 1, 1)
    expected = (grey[:, :1].numpy() / 255 - 0.5) / 0.25
    np.testing.assert_allclose(normalise(grey).numpy(), expected, atol=1e-5)


def test_statistics_are_in_no_checkpoint() -> None:
    assert not Normalise(channels=1, mean=[0.5], std=[0.25]).state_dict()


@pytest.mark.parametrize(
    ("channels", "mean", "std", "message"),
    [
        (2, [0.5] * 2, [0.5] * 2, r"data\.channels=2 must be 1 \(grey\) or 3"),
        (3, [0.5], [0.5], r"data\.channels=3 needs as many values in data\.mean=\[0\.5\]"),
        (1, [0.5], [0.0], r"data\.std=\[0\.0\] must be above 0"),
    ],
)
def test_impossible_statistics(channels: int, mean: list[float], std: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Normalise(channels=channels, mean=mean, std=std)
