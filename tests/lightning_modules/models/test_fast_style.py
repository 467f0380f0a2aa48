"""The network that learns one style: its layers, what it gives, and what it refuses."""

from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules.models.style_transfer.fast_style import FastStyle, Residual, fast_style
from tests.lightning_modules.styled import features, picture


def small(**values: Any) -> FastStyle:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return fast_style(features=features(), **({"width": 4, "blocks": 1} | values)).eval()


def learnt(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@pytest.mark.parametrize(("width", "parameters"), [(32, 1_679_235), (16, 424_899)])
def test_it_has_the_parameters_that_were_published(width: int, parameters: int) -> None:
    # 1,679,235 is also what pytorch/examples' network of the same paper has.
    assert learnt(fast_style(features=features(), width=width)) == parameters


def test_its_layers_are_those_of_the_supplement() -> None:
    network = fast_style(features=features()).network
    kernels = [
        (layer.kernel_size[0], layer.stride[0], layer.out_channels, layer.padding_mode)
        for layer in network.children()
        if isinstance(layer, nn.Conv2d)
    ]
    expected = [(9, 1, 32), (3, 2, 64), (3, 2, 128), (3, 1, 64), (3, 1, 32), (9, 1, 3)]
    assert kernels == [(*each, "reflect") for each in expected]
    residual = [layer for layer in network if isinstance(layer, Residual)]
    assert len(residual) == 5
    assert sum(isinstance(layer, nn.InstanceNorm2d) for layer in network.modules()) == 5 + 2 * 5
    assert not isinstance(residual[0].layers[-1], nn.ReLU)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (33, 30), (32, 48)], ids=str)
def test_pictures_of_any_size_are_painted(size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size)
    painted = small().stylise(images, None)
    assert painted.shape == images.shape
    assert bool(((painted >= 0) & (painted <= 1)).all())
    assert small().train().paint(images, None).pictures.shape == images.shape


@pytest.mark.parametrize("size", [(33, 30), (5, 7)], ids=str)
def test_what_is_added_to_a_picture_is_taken_off_again(size: tuple[int, int]) -> None:
    model = small()
    model.network = nn.Sequential(nn.Identity())
    images = torch.rand(1, 3, *size)
    expected = 1 / (1 + torch.exp(-2 * (2 * images - 1)))  # the tanh from -1 to 1 is a sigmoid
    assert torch.allclose(model.paint(images, None).pictures, expected, atol=1e-6)


def test_each_picture_is_painted_as_if_it_were_alone() -> None:
    images = torch.stack([picture(1), picture(2)]) / 255
    together, model = small().stylise(images, None), small()
    for image, painted in zip(images, together, strict=True):
        assert torch.allclose(model.stylise(image[None], None)[0], painted, atol=1e-5)


def test_alpha_leads_from_the_content_to_the_style() -> None:
    model, images = small(), picture(1)[None] / 255
    painted = model.stylise(images, None)
    assert torch.equal(model.stylise(images, None, alpha=0.0), images)
    assert torch.allclose(model.stylise(images, None, alpha=0.25), 0.75 * images + 0.25 * painted, atol=1e-6)
    assert not torch.allclose(painted, images, atol=0.05)
    with pytest.raises(ValueError, match="alpha=2 must be from 0"):
        model.stylise(images, None, alpha=2)


def test_it_takes_no_other_style() -> None:
    images = picture(1)[None] / 255
    with pytest.raises(ValueError, match="learnt its style, and takes no other"):
        small().stylise(images, [images])


@pytest.mark.parametrize("values", [{"width": 0}, {"blocks": -1}])
def test_a_value_out_of_range_is_named(values: dict[str, int]) -> None:
    ((name, value),) = values.items()
    with pytest.raises(ValueError, match=f"model.{name}={value} must be at least"):
        small(**values)
