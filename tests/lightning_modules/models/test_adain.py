"""AdaIN: what is between its encoder and its decoder, and what comes out."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_modules.models.style_transfer.adain import Adain, adain
from lightning_modules.models.style_transfer.decoder import layers_of
from lightning_modules.models.style_transfer.features import Features
from lightning_modules.models.style_transfer.features_published import squeezenet, vgg16, vgg19
from lightning_modules.models.style_transfer.features_random import random_features
from lightning_modules.models.style_transfer.features_run import RunFeatures
from lightning_modules.models.style_transfer.stylizer import normalised
from tests.lightning_modules.configs import build
from tests.lightning_modules.styled import features, picture

CONTENT = picture(1)[None] / 255
STYLES = [picture(2, height=40, width=28)[None] / 255, picture(5, width=20)[None] / 255]
DEVIATION = 1e-5  # added to variances, as in the paper's code


def small() -> Adain:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return adain(features=features()).eval()


def decoded(model: Adain, function: str, *values: object, **options: object) -> tuple[Tensor, Tensor]:
    """What the decoder is given, and what it makes of that."""
    seen: list[Tensor] = []
    handle = model.decoder.register_forward_hook(lambda module, given, answer: seen.extend([*given, answer]))
    getattr(model, function)(*values, **options)
    handle.remove()
    given, answer = seen
    return given, answer


def encoded(image: Tensor) -> NDArray[np.float64]:
    """Maps of the tiny features' last layer (C, H, W)."""
    maps: Tensor = features()(normalised(image), wanted=["relu2_1"])["relu2_1"]
    return maps[0].double().numpy()


def by_hand(content: Tensor, style: Tensor) -> NDArray[np.float64]:
    """Equation 8, channel by channel."""
    of_content, of_style = encoded(content), encoded(style)
    found = np.empty_like(of_content)
    for channel, own in enumerate(of_content):
        other = of_style[channel]
        scale = np.sqrt(other.var() + DEVIATION) / np.sqrt(own.var() + DEVIATION)
        found[channel] = (own - own.mean()) * scale + other.mean()
    return found


def learnt(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def test_the_decoder_mirrors_vgg_as_published() -> None:
    model = adain(features=vgg19(load_weights=False))
    assert learnt(model) == 3_505_219
    kinds = {nn.Conv2d: "C", nn.ReLU: "", nn.Upsample: "U"}
    widths = "".join(
        f"{kinds[type(layer)]}{getattr(layer, 'out_channels', '')} " if kinds[type(layer)] else ""
        for layer in model.decoder
    )
    assert widths == "C256 U C256 C256 C256 C128 U C128 C64 U C64 C3 "
    assert {layer.padding_mode for layer in model.decoder if isinstance(layer, nn.Conv2d)} == {"reflect"}
    assert model.own_layers == ("relu4_1",)
    assert model.suggested == (["relu4_1"], ["relu1_1", "relu2_1", "relu3_1", "relu4_1"])


def run_features() -> RunFeatures:
    network = build("model", "resnet8", num_classes=3, in_channels=3, image_size=32)
    return RunFeatures(network, source="run 1a2b")


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (random_features, "relu2_1"),
        (lambda: vgg16(load_weights=False), "relu4_1"),
        (lambda: squeezenet(load_weights=False), "fire4"),
        (run_features, "layer3"),
    ],
    ids=["random", "vgg16", "squeezenet", "run"],
)
def test_any_features_have_a_layer_that_suits(make: Callable[[], Features], layer: str) -> None:
    model = adain(features=make()).eval()
    assert model.own_layers == (layer,)
    images, style = torch.rand(2, 3, 50, 66), torch.rand(1, 3, 40, 40)
    with torch.no_grad():
        assert model.stylise(images, [style]).shape == images.shape
        painted = model.paint(images, [style])
    assert painted.pictures.shape == images.shape
    assert painted.content is not None
    assert painted.content[layer].shape == model.maps(images, wanted=[layer])[layer].shape


def test_strides_are_those_of_the_receptive_field() -> None:
    see = vgg19(load_weights=False)
    found = {layer.name: layer.stride for layer in layers_of(see)}
    assert found == {name: see.receptive_field(name)[1] for name in see.layers}


def test_a_layer_may_be_chosen_and_must_be_there() -> None:
    model = adain(features=random_features(), layer="relu2_2")
    assert learnt(model) == (128 * 128 + 128 * 64 + 64 * 64 + 64 * 3) * 9 + 128 + 64 + 64 + 3
    with pytest.raises(ValueError, match=r"model.layer: relu2_4 is no layer of random.*did you mean relu"):
        adain(features=random_features(), layer="relu2_4")


def test_what_is_decoded_has_the_styles_means_and_deviations() -> None:
    given, _ = decoded(small(), "stylise", CONTENT, STYLES[:1])
    style = encoded(STYLES[0])
    assert np.allclose(given[0].mean(dim=(1, 2)), style.mean(axis=(1, 2)), atol=1e-5)
    assert np.allclose(given[0].var(dim=(1, 2), correction=0), style.var(axis=(1, 2)), atol=1e-3)
    assert np.allclose(given[0], by_hand(CONTENT, STYLES[0]), atol=1e-4)
    learning, _ = decoded(small(), "paint", CONTENT, STYLES[:1])
    assert torch.equal(given, learning)


def test_styles_and_strength_are_mixed_as_maps() -> None:
    alone = [by_hand(CONTENT, style) for style in STYLES]
    given, _ = decoded(small(), "stylise", CONTENT, STYLES, blend=[3, 1])
    assert np.allclose(given[0], 0.75 * alone[0] + 0.25 * alone[1], atol=1e-4)
    given, _ = decoded(small(), "stylise", CONTENT, STYLES)
    assert np.allclose(given[0], (alone[0] + alone[1]) / 2, atol=1e-4)
    given, _ = decoded(small(), "stylise", CONTENT, STYLES[:1], alpha=0.25)
    assert np.allclose(given[0], 0.75 * encoded(CONTENT) + 0.25 * alone[0], atol=1e-4)


def test_without_strength_the_content_is_decoded() -> None:
    model = small()
    content = model.maps(CONTENT, wanted=["relu2_1"])["relu2_1"]
    expected = model.decoder(content).clamp(0, 1)
    assert torch.allclose(model.stylise(CONTENT, STYLES, alpha=0.0), expected, atol=1e-6)
    assert not torch.allclose(model.stylise(CONTENT, STYLES), expected, atol=1e-3)


def test_what_is_learnt_from_is_what_was_decoded() -> None:
    painted = small().paint(CONTENT, STYLES, blend=[0.5, 0.5])
    assert painted.content is not None
    given, answer = decoded(small(), "paint", CONTENT, STYLES, blend=[0.5, 0.5])
    assert torch.equal(painted.content["relu2_1"], given)
    assert torch.equal(painted.pictures, answer)
    assert painted.pictures.requires_grad and not painted.content["relu2_1"].requires_grad


def test_each_content_may_have_a_style_of_its_own() -> None:
    contents = torch.cat([CONTENT, picture(3)[None] / 255])
    styles = torch.cat([picture(4)[None], picture(6)[None]]) / 255
    together, model = small().stylise(contents, [styles]), small()
    for place in range(2):
        alone = model.stylise(contents[place : place + 1], [styles[place : place + 1]])
        assert torch.allclose(together[place], alone[0], atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (3, 17), (31, 30)], ids=str)
@pytest.mark.parametrize("style", [(1, 1), (9, 5)], ids=str)
def test_pictures_of_any_size_are_painted(size: tuple[int, int], style: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size)
    painted = small().stylise(images, [torch.rand(1, 3, *style)])
    assert painted.shape == images.shape and torch.isfinite(painted).all()
    assert bool(((painted >= 0) & (painted <= 1)).all())


def test_a_style_is_needed() -> None:
    with pytest.raises(ValueError, match="was shown none"):
        small().stylise(CONTENT, None)
    with pytest.raises(ValueError, match=r"blend=\[1.0\] has 1 weights"):
        small().stylise(CONTENT, STYLES, blend=[1.0])
