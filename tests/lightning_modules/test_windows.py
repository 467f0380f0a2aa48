"""Windows over images of any size: what they cover, and that no seam is left."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_modules import windows
from lightning_modules.windows import blended, positions

SIZES = [(5, 7), (16, 16), (17, 40), (40, 9), (64, 50)]


def point_wise(images: Tensor) -> Tensor:
    """Knows each pixel by itself."""
    return torch.cat([images, images.square(), 1 - images], dim=1)


def pictures(height: int, width: int, *, count: int = 2) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(height))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
def test_a_network_that_looks_at_one_pixel_answers_as_for_the_whole(
    size: tuple[int, int], overlap: float
) -> None:
    images = pictures(*size)
    found = blended(point_wise, images, window=16, overlap=overlap)
    torch.testing.assert_close(found, point_wise(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 31, 32, 33, 100])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.99])
def test_windows_cover_everything_and_none_reaches_outside(length: int, overlap: float) -> None:
    found = positions(length, window=16, overlap=overlap)
    covered = {place for start in found for place in range(start, start + min(16, length))}
    assert covered == set(range(length))
    assert found == sorted(set(found))
    assert all(b - a <= max(1, 16 * (1 - overlap)) for a, b in pairwise(found))


def test_the_last_window_is_moved_inside() -> None:
    assert positions(40, window=16, overlap=0.25) == [0, 12, 24]
    assert positions(41, window=16, overlap=0.25) == [0, 12, 24, 25]
    assert positions(10, window=16, overlap=0.25) == [0]


@pytest.mark.parametrize("window", [16, 17, 100, 0])
def test_one_window_is_the_whole_image(window: int) -> None:
    seen = []

    def look(images: Tensor) -> Tensor:
        seen.append(tuple(images.shape))
        return functional.avg_pool2d(images, 5, stride=1, padding=2)

    images = pictures(16, 12)
    assert torch.equal(blended(look, images, window=window, overlap=0.25), look(images))
    assert seen == [(2, 3, 16, 12)] * 2


def test_windows_are_seen_a_few_at_a_time() -> None:
    shapes = []

    def look(images: Tensor) -> Tensor:
        shapes.append(tuple(images.shape))
        return images

    blended(look, pictures(64, 40), window=16, overlap=0.5)
    assert {shape[1:] for shape in shapes} == {(3, 16, 16)}
    assert max(shape[0] for shape in shapes) == windows.AT_ONCE
    assert sum(shape[0] for shape in shapes) == 2 * len(positions(64, window=16, overlap=0.5)) * len(
        positions(40, window=16, overlap=0.5)
    )


class Allocations(TorchDispatchMode):
    """Keeps what operators return, so that no memory is used twice, and counts memory of a size."""

    def __init__(self, *, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.kept: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor) and found.numel() == self.numbers:
            self.kept.append(found)
        return found

    def count(self) -> int:
        return len({each.untyped_storage().data_ptr() for each in self.kept})


def test_one_array_is_as_large_as_the_answer() -> None:
    images = pictures(40, 56, count=1)
    with Allocations(numbers=9 * 40 * 56) as memory:
        found = blended(point_wise, images, window=16, overlap=0.25)
    assert found.shape == (1, 9, 40, 56)
    assert memory.count() == 1


def test_an_answer_fades_from_one_window_into_the_next() -> None:
    """Windows that disagree as far as they can: no step is larger than that of the weights."""
    counted = iter(range(1000))

    def look(images: Tensor) -> Tensor:
        return torch.stack([torch.full_like(image[:1], next(counted) % 2) for image in images])

    (found,) = blended(look, torch.zeros(1, 3, 16, 64), window=16, overlap=0.5)[:, 0]
    steps = found.diff(dim=1).abs()
    assert 0 < float(steps.max()) <= 1 / 8 + 1e-6
    assert float(found.max()) > 0.8 and float(found.min()) < 0.2


@pytest.mark.parametrize(
    ("window", "overlap", "message"),
    [
        (-1, 0.25, r"window=-1 must be at least 1 pixel"),
        (8, 1.0, r"window_overlap=1\.0 must be at least 0 and below 1"),
        (8, -0.1, r"window_overlap=-0\.1 must be at least 0"),
    ],
)
def test_impossible_windows_are_named(window: int, overlap: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        blended(point_wise, pictures(20, 20), window=window, overlap=overlap)
