"""Fully convolutional networks: geometry, what a finer one takes from a coarser one, pretrained weights."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VGG16_Weights, vgg16
from torchvision.models.vgg import cfgs, make_layers

from lightning_modules.models.segmentation import vgg
from lightning_modules.models.segmentation.fcn_building import CROPS
from lightning_modules.models.segmentation.fcn_network import FcnNetwork, zero_scores
from lightning_modules.models.segmentation.upsampling import bilinear_kernel, bilinear_upsampling
from tests.lightning_modules.models.segmentation.lectures import (
    BUILDERS,
    FCNS,
    light,
    num_parameters,
    on_shapes,
)

SIDE = 500
# Of the maps of pool3, pool4 and fc7, in an image of 500 pixels.
MAP_SIDES = {8: 88, 16: 44, 32: 16}
# In the image: of the first place of a map whose first convolution reaches 99 pixels beyond it.
FIRST_PLACES = {8: 3.5 - 99, 16: 7.5 - 99, 32: 15.5 - 99 + 3 * 32}


class Ramps(nn.Module):
    """Stands in for VGG-16: every map holds the column of the image above which each of its places is."""

    channels, strides = (1, 1, 1), (8, 16, 32)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = OrderedDict()
        for stride, side in MAP_SIDES.items():
            columns = FIRST_PLACES[stride] + stride * torch.arange(side)
            found[str(len(found))] = columns.expand(len(images), 1, side, side)
        return found


def on_ramps(skips: int, *, skip_weight: float) -> Tensor:
    """Scores of the whole network on ramps, with skips of this weight."""

    def scorer(weight: float) -> nn.Module:
        layer = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(layer.weight, weight)
        return layer

    network = FcnNetwork(
        Ramps(),
        scorers=[lambda _: scorer(1.0)] + [lambda _: scorer(skip_weight)] * skips,
        num_classes=1,
        learned=False,
        crops=CROPS[skips],
    )
    with torch.no_grad():
        scores: Tensor = network(torch.zeros(1, 3, SIDE, SIDE))
    assert scores.shape == (1, 1, SIDE, SIDE)
    return scores[0, 0]


@pytest.mark.parametrize("skip_weight", [0.0, 1.0])
@pytest.mark.parametrize("skips", [0, 1, 2])
def test_scores_lie_above_the_pixels_they_are_of(skips: int, skip_weight: float) -> None:
    # A network with skips that add nothing equals the coarser ones exactly on ramps, away from the edges.
    inside = on_ramps(skips, skip_weight=skip_weight)[64:-64, 64:-64]
    columns = torch.arange(64.0, SIDE - 64).expand_as(inside)
    torch.testing.assert_close(inside, columns * (1 + skips * skip_weight), rtol=0, atol=2e-3)


def test_sizes_of_a_picture_of_500_pixels() -> None:
    sides: dict[str, int] = {}
    network = on_shapes("fcn32s").network

    def note(name: str, layer: nn.Module) -> None:
        layer.register_forward_hook(lambda _, __, found: sides.update({name: found.shape[-1]}))

    pools = [key for key, layer in network.body.items() if isinstance(layer, nn.MaxPool2d)]
    for name in ("0", *pools, "fc6"):
        note(name, network.body[name])
    note("up", network.enlargement["stride32"])
    scores = network(torch.zeros(1, 3, SIDE, SIDE, device="meta"))
    assert list(sides.values()) == [698, 349, 175, 88, 44, 22, 16, 544]
    assert network.crops == (19,)
    assert scores.shape[-2:] == (SIDE, SIDE)


def test_every_place_of_fc7_sees_404_pixels() -> None:
    sees, stride = 1, 1
    for layer in on_shapes("fcn8s").network.body.values():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            kernel, step = (value if isinstance(value, int) else value[0] for value in size(layer))
            sees, stride = sees + (kernel - 1) * stride, stride * step
    assert (sees, stride) == (404, 32)


def size(layer: nn.Conv2d | nn.MaxPool2d) -> tuple[int | tuple[int, ...], int | tuple[int, ...]]:
    """Kernel and stride."""
    return layer.kernel_size, layer.stride


def test_parameters_without_transposed_convolutions() -> None:
    network = on_shapes("fcn8s").network
    assert num_parameters(network.body) + num_parameters(network.scores) == 134_362_751
    kernels = [layer for layer in network.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [tuple(layer.weight.shape) for layer in kernels] == [(21, 21, 4, 4)] * 2 + [(21, 21, 16, 16)]


@pytest.mark.parametrize("name", sorted(FCNS))
def test_who_learns_to_enlarge(name: str) -> None:
    def learning(**options: object) -> set[bool]:
        layers = [each for each in on_shapes(name, **options).modules() if type(each) is nn.ConvTranspose2d]
        return {layer.weight.requires_grad for layer in layers}

    assert learning() == {False}
    assert learning(upsampling_learned=True) == {True}
    assert learning(scale="light") == {True}
    assert learning(scale="light", upsampling_learned=False) == {False}


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_transposed_convolutions_begin_as_bilinear_interpolation(factor: int) -> None:
    map_ = torch.randn(2, 3, 6, 7)
    found = bilinear_upsampling(3, factor, padded=True, learned=False)(map_)
    expected = functional.interpolate(map_, scale_factor=factor, mode="bilinear", align_corners=False)
    # At the edges, zeros are mixed in rather than the last value repeated.
    inner = (..., slice(factor, -factor), slice(factor, -factor))
    torch.testing.assert_close(found[inner], expected[inner])
    assert bilinear_kernel(4)[0].tolist() == [0.0625, 0.1875, 0.1875, 0.0625]
    assert bilinear_kernel(3)[1].tolist() == [0.5, 1.0, 0.5]


def saved(name: str, folder: Path) -> str:
    """Checkpoint of a light network, as a run writes it."""
    state = {f"model.{key}": value for key, value in light(name).state_dict().items()}
    torch.save({"state_dict": state}, folder / f"{name}.ckpt")
    return str(folder / f"{name}.ckpt")


@pytest.mark.parametrize(("coarse", "fine"), [("fcn32s", "fcn16s"), ("fcn16s", "fcn8s")])
def test_a_finer_network_starts_as_the_coarser_one(coarse: str, fine: str, tmp_path: Path) -> None:
    path = saved(coarse, tmp_path)
    torch.manual_seed(1)
    finer = BUILDERS[fine](num_classes=3, scale="light", start_from=path).eval()
    coarser = light(coarse).eval()
    theirs, ours = coarser.state_dict(), finer.state_dict()
    shared = {key for key in theirs if key in ours}
    assert {key for key in theirs if key not in ours} == {
        key for key in theirs if key.startswith("network.enlargement.")
    }
    assert all(torch.equal(theirs[key], ours[key]) for key in shared)

    images = torch.randn(2, 3, 64, 96)
    last = list(finer.network.doublings)[-1]
    inputs: list[Tensor] = []
    next(iter(coarser.network.enlargement.values())).register_forward_pre_hook(
        lambda _, given: inputs.append(given[0])
    )
    finer.network.doublings[last].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.no_grad():
        once, twice = coarser(images), finer(images)
    # Exact: the scores before they are enlarged. The enlargement is in two steps rather than one.
    assert torch.equal(*inputs)
    apart = (once - twice)[..., 16:-16, 16:-16].abs().mean()
    assert apart < 0.1 * once.std()


def test_skips_begin_with_zero_only_where_a_coarser_network_ended(tmp_path: Path) -> None:
    path = saved("fcn16s", tmp_path)
    skips = [light("fcn8s", **options).network.scores["stride2"] for options in ({}, {"start_from": path})]
    assert [bool(skip[-1].weight.any()) for skip in skips] == [True, False]
    assert type(on_shapes("fcn8s").network.scores["stride8"]) is nn.Conv2d


def test_published_scores_begin_with_zero() -> None:
    layer = zero_scores(4)(256)
    assert layer.weight.shape == (4, 256, 1, 1)
    assert not layer.weight.any() and not layer.bias.any()


def test_what_is_no_coarser_network_is_refused(tmp_path: Path) -> None:
    path = saved("fcn8s", tmp_path)
    with pytest.raises(ValueError, match=r"start_from=.*fcn8s\.ckpt is not of a coarser .*stride2.*unknown"):
        light("fcn16s", start_from=path)
    with pytest.raises(ValueError, match=r"start_from=nowhere\.ckpt does not exist"):
        light("fcn16s", start_from="nowhere.ckpt")
    coarser = saved("fcn32s", tmp_path)
    with pytest.raises(ValueError, match=r"is \(3, 64, 1, 1\) there and \(4, 64, 1, 1\) in the model"):
        light("fcn16s", num_classes=4, start_from=coarser)
    with pytest.raises(ValueError, match=r"model\.start_from=.* and model\.pretrained=.* both name a file"):
        light("fcn16s", start_from=coarser, pretrained=coarser)
    assert light("fcn16s", start_from="elsewhere.ckpt", load_weights=False) is not None


def test_the_convolutionalised_classifier_equals_the_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    # As published but for 4096, which only costs time.
    monkeypatch.setattr(vgg, "FC_CHANNELS", 32)
    torch.manual_seed(0)
    features = make_layers(cfgs["D"])
    first, second = nn.Linear(512 * 7 * 7, 32), nn.Linear(32, 32)
    state = {f"features.{key}": value for key, value in features.state_dict().items()}
    for number, layer in ((0, first), (3, second)):
        state |= {f"classifier.{number}.{key}": value for key, value in layer.state_dict().items()}
    body = vgg.fully_convolutional_vgg16(padding=1).eval()
    vgg.load_classifier(body, state)
    crop = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = second(first(features(crop).flatten(1)).relu()).relu()
        *_, found = body(crop).values()
    assert found.shape == (1, 32, 1, 1)
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["fcn8s", "dilated_vgg"])
def test_weights_of_imagenet_come_from_the_cache(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.device("meta"):
        shapes = vgg16().state_dict()
    state = {
        key: torch.tensor(float(position + 1)).expand(value.shape)
        for position, (key, value) in enumerate(shapes.items())
    }
    (tmp_path / "checkpoints").mkdir()
    torch.save(state, tmp_path / "checkpoints" / VGG16_Weights.IMAGENET1K_V1.url.rpartition("/")[2])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(nn.init, "kaiming_normal_", lambda *_, **__: None)
    body = BUILDERS[name](pretrained="backbone").network.body
    assert (body["0"].weight == state["features.0.weight"].view(-1)[0]).all()
    assert body["28"].bias[5] == state["features.28.bias"][0]
    assert body["fc6"].weight[7, 3, 2, 2] == state["classifier.0.weight"][0, 0]
    assert body["fc7"].bias[9] == state["classifier.3.bias"][0]


@pytest.mark.parametrize("backbone", ["resnet18", "test_convnext"])
def test_other_backbones(backbone: str) -> None:
    model = light("fcn8s", backbone=backbone)
    with torch.no_grad():
        assert model.eval()(torch.randn(1, 3, 97, 131)).shape == (1, 3, 97, 131)
    assert list(model.network.scores) == ["stride32", "stride16", "stride8"]
    with pytest.raises(ValueError, match=r"model\.norm=group, but vgg16 has none"):
        on_shapes("fcn8s", norm="group")
