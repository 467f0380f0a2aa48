"""Dilated convolutions, and the context module that begins by changing nothing."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from lightning_modules.models.segmentation import dilated_vgg as file
from lightning_modules.models.segmentation.context import ContextModule, context_module
from lightning_modules.models.segmentation.vgg import vgg16_layers
from tests.lightning_modules.models.segmentation.lectures import BUILDERS, light, num_parameters, on_shapes


def test_parameters_of_the_context_module() -> None:
    assert num_parameters(ContextModule(21, kind="basic")) == 28_392
    widths = [21 * multiple for multiple in (1, 2, 2, 4, 8, 16, 32, 32)]
    threes = sum(9 * before * after + after for before, after in pairwise(widths))
    assert num_parameters(ContextModule(21, kind="large")) == threes + 32 * 21 * 21 + 21
    assert num_parameters(on_shapes("dilated_vgg", context="none")) == 134_346_581


@pytest.mark.parametrize(("kind", "tolerance"), [("basic", 0.0), ("large", 0.1)])
def test_the_context_module_begins_as_the_identity(kind: str, tolerance: float) -> None:
    torch.manual_seed(0)
    scores = torch.rand(1, 5, 40, 40)
    with torch.no_grad():
        assert (ContextModule(5, kind=kind)(scores) - scores).abs().max() <= tolerance
        assert torch.equal(ContextModule(5, kind="basic")(-scores), torch.zeros_like(scores))
    assert isinstance(context_module("none", num_classes=5), nn.Identity)


@pytest.mark.parametrize("kind", ["basic", "large"])
def test_every_place_sees_67_places(kind: str) -> None:
    module = ContextModule(2, kind=kind)
    for parameter in module.parameters():
        nn.init.constant_(parameter, 0.01)
    scores = torch.ones(1, 2, 99, 99, requires_grad=True)
    module(scores)[0, 0, 49, 49].backward()
    assert scores.grad is not None
    rows, columns = scores.grad[0, 1].nonzero(as_tuple=True)
    assert (int(rows.min()), int(rows.max())) == (49 - 33, 49 + 33)
    assert (int(columns.min()), int(columns.max())) == (49 - 33, 49 + 33)


def test_the_large_form_has_no_two_channels_alike() -> None:
    torch.manual_seed(0)
    first = ContextModule(3, kind="large")[0].weight.flatten(1)
    assert len(torch.unique(first, dim=0)) == len(first) == 6


def test_vgg_without_its_last_poolings_sees_as_far() -> None:
    with torch.device("meta"):
        layers = file.dilated_vgg16_layers()
    dilations = [layer.dilation[0] for layer in layers.values() if isinstance(layer, nn.Conv2d)]
    assert dilations == [1] * 10 + [2] * 3 + [4, 1]
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in layers.values()) == 3


def test_the_front_end_is_vgg_where_the_poolings_would_have_looked() -> None:
    # Dense scores hold those of the original at every second place in each direction, away from the edge.
    torch.manual_seed(0)
    original = [layer for name, layer in vgg16_layers().items() if 17 <= int(name) <= 29]
    map_ = torch.randn(1, 256, 32, 32)
    with torch.no_grad():
        before = nn.Sequential(*original[:6])(map_)
        coarse = nn.Sequential(*original[7:])(before[..., ::2, ::2])
        for layer in original[7:]:
            if isinstance(layer, nn.Conv2d):
                file.dilate(layer, 2)
        dense = nn.Sequential(*original[7:])(before)
    torch.testing.assert_close(dense[..., ::2, ::2], coarse, rtol=1e-4, atol=1e-5)


def test_scores_are_an_eighth_as_large() -> None:
    for model in (on_shapes("dilated_vgg"), on_shapes("dilated_vgg", scale="light")):
        assert model.network(torch.zeros(1, 3, 64, 96, device="meta")).shape[-2:] == (8, 12)


def test_unknown_contexts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.context=huge is not one of none, basic, large"):
        BUILDERS["dilated_vgg"](scale="light", context="huge")
    assert light("dilated_vgg", context="large").network.context is not None
