"""SegNet and the encoder-decoder: mirrored stages in which only the unpooling differs."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import VGG16_BN_Weights, vgg16_bn
from torchvision.models.vgg import cfgs, make_layers

from lightning_modules.models.segmentation.segnet import segnet
from lightning_modules.models.segmentation.unpooling import TransposedUnpooling
from tests.lightning_modules.models.segmentation.lectures import light, num_parameters, on_shapes

WAYS = ("nearest", "bed_of_nails", "max", "transposed")


def convolutions(part: nn.Module) -> list[tuple[int, int]]:
    """Channels in and out of all convolutions, from the image on."""
    return [(each.in_channels, each.out_channels) for each in part.modules() if type(each) is nn.Conv2d]


def test_segnet_mirrors_the_thirteen_convolutions_of_vgg16() -> None:
    network = on_shapes("segnet").network
    encoder = convolutions(network.encoder)
    with torch.device("meta"):
        assert encoder == convolutions(vgg16_bn().features)
    decoder = [*convolutions(network.decoder), *convolutions(network.scores)]
    assert len(encoder) == len(decoder) == 13
    turned = [(after, before) for before, after in reversed(encoder)]
    # The last one gives the scores of 12 classes where the first one took an image.
    assert decoder == [*turned[:-1], (64, 12)]


def test_segnet_is_the_encoder_decoder_with_max_unpooling() -> None:
    ours = on_shapes("encoder_decoder", unpooling="max").state_dict()
    segnet = on_shapes("segnet").state_dict()
    assert {key: value.shape for key, value in ours.items()} == {
        key: value.shape for key, value in segnet.items()
    }


def test_only_the_unpooling_differs() -> None:
    states = {way: light("encoder_decoder", unpooling=way).state_dict() for way in WAYS}
    kernels = {key for key in states["transposed"] if "unpoolings" in key}
    assert len(kernels) == 3
    for way in WAYS:
        shapes = {key: value.shape for key, value in states[way].items()}
        assert {key: value.shape for key, value in states["transposed"].items() if key not in kernels} == {
            key: shape for key, shape in shapes.items() if key not in kernels
        }
    networks = {way: light("encoder_decoder", unpooling=way) for way in WAYS}
    counts = {way: num_parameters(network) for way, network in networks.items()}
    assert counts["nearest"] == counts["bed_of_nails"] == counts["max"]
    assert counts["transposed"] == counts["max"] + 9 * (128**2 + 64**2 + 32**2)
    layers = [each for each in networks["transposed"].modules() if isinstance(each, TransposedUnpooling)]
    assert [layer.layer.in_channels for layer in layers] == [128, 64, 32]


def test_every_unpooling_takes_the_positions_of_its_own_pooling() -> None:
    # A map from the wrong pooling would have another size; one of a wrong channel would move values.
    network = light("segnet").eval().network
    seen: list[tuple[torch.Size, torch.Size]] = []
    for unpool in network.unpoolings:
        unpool.register_forward_pre_hook(lambda _, given: seen.append((given[0].shape, given[1].shape)))
    network(torch.randn(1, 3, 64, 32))
    assert [shape[1] for shape, _ in seen] == [128, 64, 32, 16]
    assert all(map_ == positions for map_, positions in seen)


def test_weights_of_imagenet_come_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    features = make_layers(cfgs["D"], batch_norm=True).state_dict()
    # As the published file: without numbers of batches, and with a classifier that nobody needs here.
    state = {f"features.{key}": value for key, value in features.items() if "num_batches" not in key}
    url = VGG16_BN_Weights.IMAGENET1K_V1.url
    (tmp_path / "checkpoints").mkdir()
    torch.save(state | {"classifier.0.bias": torch.ones(3)}, tmp_path / "checkpoints" / Path(url).name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    encoder = segnet(pretrained="backbone").network.encoder
    found = [value for value in encoder.state_dict().values() if value.ndim > 0]
    assert len(found) == len(state) == 13 * 6
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, state.values(), strict=True))
