"""Frozen features: their names, what they see, where they come from, and how random ones are calibrated."""

from collections.abc import Callable, Sequence
from typing import cast
from urllib.error import URLError

import pytest
import torch
import torchvision.models
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from lightning_modules.losses.style import gram_matrix
from lightning_modules.models.style_transfer import features_published
from lightning_modules.models.style_transfer.features import Features, LayeredFeatures
from lightning_modules.models.style_transfer.features_layers import vgg_layers, widths
from lightning_modules.models.style_transfer.features_random import RandomFeatures, random_features

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
FIELDS = {"1_1": 3, "2_1": 10, "3_1": 24, "4_1": 68, "4_2": 84, "5_1": 156}
"""Of VGG-19, ../shared/FACTS.md A6."""
BUILDERS: dict[str, tuple[Callable[..., LayeredFeatures], Callable[..., nn.Module]]] = {
    "vgg19": (features_published.vgg19, torchvision.models.vgg19),
    "vgg16": (features_published.vgg16, torchvision.models.vgg16),
    "squeezenet": (features_published.squeezenet, torchvision.models.squeezenet1_1),
}


def pictures(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        nn.functional.interpolate(torch.randn(1, 3, 9, 9, generator=generator), size=size, mode="bilinear")
        for size in sizes
    ]


def narrow(channels: int = 6) -> RandomFeatures:
    """Random features of VGG-19's shape up to relu3_1, few channels wide."""
    layers = vgg_layers("vgg19", pooling="average")
    kept = dict(list(layers.items())[: list(layers).index("relu3_1") + 1])
    generator = torch.Generator().manual_seed(0)
    inputs = 3
    for name, layer in kept.items():
        if isinstance(layer, nn.Conv2d):
            kept[name] = small = nn.Conv2d(inputs, channels, 3, padding=1, padding_mode="reflect")
            for parameter in small.parameters():
                nn.init.normal_(parameter, std=0.3, generator=generator)
            inputs = channels
    return RandomFeatures(kept, answered=widths(kept), source="narrow")


def with_random_weights(build: Callable[..., nn.Module]) -> nn.Module:
    """A network of torchvision; its wide classifier stays without any, which takes seconds."""
    with torch.device("meta"):
        network = build(weights=None).eval()
    features = cast(nn.Module, network.features).to_empty(device="cpu")
    for parameter in features.parameters():
        nn.init.normal_(parameter, std=0.05)
    return network


def before_relu(features: LayeredFeatures, image: Tensor) -> list[Tensor]:
    """What every convolution gives."""
    found = []
    for layer in features.network.values():
        image = layer(image)
        if isinstance(layer, nn.Conv2d):
            found.append(image.clone())
    return found


@pytest.fixture(scope="module")
def vgg19() -> LayeredFeatures:
    return features_published.vgg19(load_weights=False, pooling="max")


def test_layers_are_named_as_in_the_paper(vgg19: LayeredFeatures) -> None:
    counts = (2, 2, 4, 4, 4)
    assert vgg19.layers == tuple(
        f"relu{block}_{number}" for block, count in enumerate(counts, 1) for number in range(1, count + 1)
    )
    assert [vgg19.channels(name) for name in STYLE_LAYERS] == [64, 128, 256, 512, 512]


def test_the_gram_matrices_of_the_paper(vgg19: LayeredFeatures) -> None:
    maps = vgg19(torch.randn(1, 3, 32, 48), wanted=STYLE_LAYERS)
    assert [tuple(gram_matrix(maps[name]).shape) for name in STYLE_LAYERS] == [
        (1, side, side) for side in (64, 128, 256, 512, 512)
    ]
    assert maps["relu5_1"].shape == (1, 512, 2, 3)


@pytest.mark.parametrize(("layer", "side"), FIELDS.items())
def test_receptive_fields_measured_by_gradient(layer: str, side: int) -> None:
    """With constant weights every pixel that a place sees has a gradient."""
    layers = vgg_layers("vgg19", pooling="average")
    inputs = 3
    for name, each in layers.items():
        if isinstance(each, nn.Conv2d):
            layers[name] = small = nn.Conv2d(inputs, 1, 3, padding=1)
            nn.init.constant_(small.weight, 0.1)
            nn.init.zeros_(cast(Tensor, small.bias))
            inputs = 1
    features = LayeredFeatures(layers, answered=widths(layers), source="constant weights")
    image = torch.ones(1, 3, 416, 416, requires_grad=True)
    found = features(image, wanted=[f"relu{layer}"])[f"relu{layer}"]
    found[0, 0, found.shape[2] // 2, found.shape[3] // 2].backward()
    assert image.grad is not None
    rows, columns = image.grad[0, 0].nonzero(as_tuple=True)
    assert int(rows.max() - rows.min()) + 1 == int(columns.max() - columns.min()) + 1 == side
    assert features.receptive_field(f"relu{layer}") == (side, 416 // found.shape[2])


@pytest.mark.parametrize("name", BUILDERS)
def test_features_are_torchvisions_own_layers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the file that torchvision would download, here with random weights."""
    build, theirs = BUILDERS[name]
    network = with_random_weights(theirs)
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *args, **kwargs: network.state_dict())
    features = build(pooling="max")
    image = torch.randn(1, 3, 64, 48)
    found = features(image, wanted=features.layers)
    expected, maps = [], image
    with torch.no_grad():
        for layer in network.features:  # type: ignore[union-attr]
            maps = layer(maps)
            if isinstance(layer, nn.ReLU | torchvision.models.squeezenet.Fire):
                expected.append(maps.clone())
    assert len(found) == len(expected) == len(features.layers)
    for layer_name, one, other in zip(features.layers, found.values(), expected, strict=True):
        assert torch.equal(one, other), layer_name
        assert features.channels(layer_name) == one.shape[1]


@pytest.mark.parametrize("name", BUILDERS)
def test_average_pooling_gives_maps_of_the_same_size(name: str) -> None:
    build, _ = BUILDERS[name]
    kinds = [build(pooling=pooling, load_weights=False) for pooling in ("max", "average")]
    kinds[1].load_state_dict(kinds[0].state_dict())
    image = torch.randn(1, 3, 61, 50)
    most, mean = (features(image, wanted=features.layers) for features in kinds)
    last = kinds[0].layers[-1]
    assert [each.shape for each in most.values()] == [each.shape for each in mean.values()]
    assert not torch.equal(most[last], mean[last])


def test_an_unknown_pooling_or_layer_is_answered_with_the_right_ones(vgg19: LayeredFeatures) -> None:
    with pytest.raises(ValueError, match=r"features.pooling=median is not one of max, average"):
        features_published.vgg19(pooling="median", load_weights=False)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"task.style_layers: conv4_2 .* relu1_1, .* did you mean relu4_2"
    ) as e:
        vgg19.check(["relu1_1", "conv4_2"], key="task.style_layers")
    assert all(name in str(e.value) for name in vgg19.layers)
    with pytest.raises(ValueError, match="relu9_1"):
        vgg19(torch.randn(1, 3, 32, 32), wanted=["relu9_1"])
    vgg19.check(vgg19.layers, key="task.style_layers")


def test_weights_that_cannot_be_fetched_name_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", offline)
    with pytest.raises(OSError, match=r"features=vgg19 needs .*VGG19.* https.*features=random"):
        features_published.vgg19()


def test_nothing_behind_the_deepest_wanted_layer_is_computed(vgg19: LayeredFeatures) -> None:
    run = []
    handles = [
        layer.register_forward_hook(lambda *args, name=name: run.append(name))
        for name, layer in vgg19.network.items()
    ]
    found = vgg19(torch.randn(1, 3, 16, 16), wanted=["relu2_1", "relu1_2"])
    for handle in handles:
        handle.remove()
    assert run[-1] == "relu2_1" and list(found) == ["relu1_2", "relu2_1"]


def test_features_are_frozen_and_hand_the_gradient_on() -> None:
    features = narrow().train()
    assert not features.training and not any(each.requires_grad for each in features.parameters())
    image = torch.randn(1, 3, 16, 16, requires_grad=True)
    features(image, wanted=["relu3_1"])["relu3_1"].sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0


def test_what_lies_behind_can_be_forgotten() -> None:
    whole, trimmed = narrow(), narrow()
    trimmed.trim(["relu1_1", "relu2_1"])
    image = pictures((16, 16))[0]
    assert trimmed.layers == ("relu1_1", "relu1_2", "relu2_1")
    assert len(trimmed.state_dict()) == 6 < len(whole.state_dict())
    expected = whole(image, wanted=["relu2_1"])["relu2_1"]
    assert torch.equal(trimmed(image, wanted=["relu2_1"])["relu2_1"], expected)


def test_too_small_a_picture_is_refused(vgg19: LayeredFeatures) -> None:
    with pytest.raises(ValueError, match=r"picture of 20 x 8 pixels is too small for layer conv4_1"):
        vgg19(torch.randn(1, 3, 8, 20), wanted=["relu4_1"])


@pytest.mark.parametrize("sizes", [[(32, 32), (32, 32)], [(40, 24), (16, 16), (17, 33)]])
def test_calibrated_channels_have_mean_0_and_variance_1(sizes: Sequence[tuple[int, int]]) -> None:
    features, images = narrow(), pictures(*sizes)
    features.calibrate(images)
    with torch.no_grad():
        layers = list(zip(*(before_relu(features, image) for image in images), strict=True))
    assert len(layers) == 5
    for maps in layers:
        mean = torch.stack([each.mean(dim=(2, 3)) for each in maps]).mean(dim=0)
        square = torch.stack([each.square().mean(dim=(2, 3)) for each in maps]).mean(dim=0)
        assert torch.allclose(mean, torch.zeros_like(mean), atol=1e-4)
        assert torch.allclose(square, torch.ones_like(square), atol=1e-3)


def test_without_calibration_channels_are_anything_but() -> None:
    with torch.no_grad():
        deepest = before_relu(narrow(), pictures((32, 32))[0])[-1]
    assert (deepest.mean(dim=(2, 3)).abs() > 0.1).any() and (deepest.std(dim=(2, 3)) - 1).abs().max() > 0.1


def test_calibration_forgets_the_one_before() -> None:
    once, twice = narrow(), narrow()
    first, second = pictures((32, 24), (24, 32))
    twice.calibrate([first * 3 + 1])
    for features in (once, twice):
        features.calibrate([second])
    for key, value in once.state_dict().items():
        assert torch.allclose(value, twice.state_dict()[key], rtol=1e-3, atol=1e-4), key


def test_calibration_travels_with_the_state_dict() -> None:
    source, target, image = narrow(), narrow(), pictures((24, 24))[0]
    source.calibrate([image])
    before = target(image, wanted=["relu3_1"])["relu3_1"]
    target.load_state_dict(source.state_dict())
    after = target(image, wanted=["relu3_1"])["relu3_1"]
    assert torch.equal(after, source(image, wanted=["relu3_1"])["relu3_1"]) and not torch.equal(before, after)


def test_a_constant_picture_is_centred_and_stays_finite() -> None:
    features = narrow()
    features.calibrate([torch.full((1, 3, 16, 16), 0.5)])
    assert all(torch.isfinite(value).all() for value in features.state_dict().values())
    with pytest.raises(ValueError, match="without a picture"):
        features.calibrate([])


def test_random_weights_are_those_of_their_seed_alone() -> None:
    states = []
    for seed, outer in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(outer)
        features = random_features(seed=seed)
        features.trim(["relu1_2"])
        states.append(features.state_dict()["network.conv1_2.weight"])
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])
    assert float(states[0].std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert "random" in features.source and isinstance(features, Features)
