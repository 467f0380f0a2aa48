"""Ways of unpooling, with the numbers of the lectures."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.models.segmentation.unpooling import (
    BedOfNailsUnpooling,
    MaxUnpooling,
    NearestUnpooling,
    TransposedUnpooling,
    unpooling_layer,
)

SQUARE = [[1, 2], [3, 4]]
NO_INDICES = torch.empty(0)


def plane(rows: list[list[int]]) -> Tensor:
    """One channel of one image."""
    return torch.tensor(rows, dtype=torch.float32)[None, None]


def test_nearest_neighbour() -> None:
    expected = plane([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])
    assert torch.equal(NearestUnpooling()(plane(SQUARE), NO_INDICES), expected)


def test_bed_of_nails() -> None:
    expected = plane([[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])
    assert torch.equal(BedOfNailsUnpooling()(plane(SQUARE), NO_INDICES), expected)


def test_max_unpooling_uses_the_positions_of_the_pooling() -> None:
    before = plane([[1, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]])
    pooled, indices = functional.max_pool2d(before, 2, return_indices=True)
    assert torch.equal(pooled, plane([[5, 6], [7, 8]]))
    expected = plane([[0, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]])
    assert torch.equal(MaxUnpooling()(plane(SQUARE), indices), expected)
    # What comes straight from the pooling keeps exactly the maxima, each at its place.
    kept = MaxUnpooling()(pooled, indices)
    assert torch.equal(kept, plane([[0, 0, 6, 0], [0, 5, 0, 0], [0, 0, 0, 0], [7, 0, 0, 8]]))


def test_max_unpooling_is_torchs_and_deterministic() -> None:
    pooled, indices = functional.max_pool2d(torch.randn(2, 5, 12, 8), 2, return_indices=True)
    expected = functional.max_unpool2d(pooled, indices, kernel_size=[2, 2])
    torch.use_deterministic_algorithms(True)
    try:
        found = MaxUnpooling()(pooled.requires_grad_(), indices)
        found.square().sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(found, expected)
    assert pooled.grad is not None and torch.equal(pooled.grad, 2 * pooled)


def test_transposed_convolution_in_one_dimension() -> None:
    a, b = 2.0, 5.0
    x, y, z = 1.0, 10.0, 100.0
    kernel = torch.tensor([x, y, z])
    plain = functional.conv_transpose1d(torch.tensor([[[a, b]]]), kernel[None, None], stride=2)
    assert plain[0, 0].tolist() == [a * x, a * y, a * z + b * x, b * y, b * z]

    layer = TransposedUnpooling(1)
    with torch.no_grad():
        # A kernel that reaches neither up nor down: every row is an example of its own.
        layer.layer.weight.zero_()[0, 0, 1] = kernel
    found = layer(torch.tensor([[[[a, b]]]]), NO_INDICES)
    # Exactly twice as wide: the first place is left out.
    assert found[0, 0].tolist() == [[a * y, a * z + b * x, b * y, b * z], [0.0] * 4]


def test_a_transposed_convolution_is_the_backward_pass_of_a_convolution() -> None:
    layer = TransposedUnpooling(4)
    map_ = torch.randn(2, 4, 5, 6)
    image = torch.zeros(2, 4, 10, 12, requires_grad=True)
    convolved = functional.conv2d(image, layer.layer.weight, stride=2, padding=1)
    (gradient,) = torch.autograd.grad(convolved, image, map_)
    torch.testing.assert_close(layer(map_, NO_INDICES), gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["nearest", "bed_of_nails", "max", "transposed"])
def test_all_double_and_keep_the_channels_apart(name: str) -> None:
    pooled, indices = functional.max_pool2d(torch.rand(2, 3, 8, 12) + 0.1, 2, return_indices=True)
    found = unpooling_layer(name, channels=3)(pooled, indices)
    assert found.shape == (2, 3, 8, 12)
    if name != "transposed":
        sums = pooled.sum((2, 3)) * (4 if name == "nearest" else 1)
        torch.testing.assert_close(found.sum((2, 3)), sums)


def test_a_transposed_convolution_begins_with_the_spread_of_its_input() -> None:
    torch.manual_seed(0)
    map_ = torch.randn(2, 64, 16, 16)
    assert 0.8 < unpooling_layer("transposed", channels=64)(map_, NO_INDICES).std() < 1.2


def test_unknown_names_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"model\.unpooling=mean is not one of nearest, bed_of_nails, max, t"
    ):
        unpooling_layer("mean", channels=1)
