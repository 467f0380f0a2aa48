"""Features of a network that was trained here: its stages, its weights, its own normalisation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.models.classification.lenet import lenet5
from lightning_modules.models.classification.resnet import resnet18
from lightning_modules.models.classification.resnet8 import resnet8
from lightning_modules.models.style_transfer.features import IMAGENET_MEAN, IMAGENET_STD
from lightning_modules.models.style_transfer.features_run import of_run
from lightning_modules.models.verification.triplet import triplet
from lightning_modules.preprocessing import Normalise

COLOUR = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}
GREY = {"mean": [0.3], "std": [0.2]}


def trained(network: nn.Module) -> nn.Module:
    """With weights and statistics that no new network has."""
    generator = torch.Generator().manual_seed(3)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) * 0.1 + ("var" in name))
    return network.eval()


def checkpoint(network: nn.Module, folder: Path, *, metadata: dict[str, Any]) -> str:
    """As a task saves it, as far as features are concerned."""
    state = {f"model.{key}": value for key, value in network.state_dict().items()}
    state["loss.weights"] = torch.ones(2)
    torch.save({"state_dict": state, "pipeline": {"metadata": metadata}}, folder / "best.ckpt")
    return str(folder / "best.ckpt")


def as_imagenet(images: Tensor) -> Tensor:
    """Normalised float images of uint8 ones."""
    normalised: Tensor = Normalise(channels=3, mean=IMAGENET_MEAN, std=IMAGENET_STD)(images)
    return normalised


@pytest.mark.parametrize(("channels", "metadata"), [(3, COLOUR), (1, GREY)])
def test_stages_see_what_they_were_trained_on(
    channels: int, metadata: dict[str, Any], tmp_path: Path
) -> None:
    network = trained(resnet8(in_channels=channels))
    path = checkpoint(network, tmp_path, metadata=metadata)
    features = of_run(run="1a2b3c4d5e6f", network=resnet8(in_channels=channels), weights=path)
    assert features.layers == ("stem", "layer1", "layer2", "layer3")
    assert features.source == "run 1a2b3c4d (ResNet8)"
    images = torch.randint(0, 256, (2, 3, 40, 32), dtype=torch.uint8)
    found = features(as_imagenet(images), wanted=features.layers)
    maps = Normalise(channels=channels, **metadata)(images)
    for name, each in found.items():
        maps = network.get_submodule(name)(maps)
        assert torch.allclose(each, maps, rtol=1e-3, atol=1e-5), name
        assert features.channels(name) == maps.shape[1]


def test_a_checkpoint_of_ours_brings_everything_again(tmp_path: Path) -> None:
    path = checkpoint(trained(resnet8(in_channels=1)), tmp_path, metadata=GREY)
    read = of_run(run="1a2b", network=resnet8(in_channels=1), weights=path)
    again = of_run(run="1a2b", network=resnet8(in_channels=1), weights="is-not-read", load_weights=False)
    image = torch.randn(1, 3, 32, 32)
    before = again(image, wanted=["layer2"])["layer2"]
    again.load_state_dict(read.state_dict())
    expected = read(image, wanted=["layer2"])["layer2"]
    assert torch.equal(again(image, wanted=["layer2"])["layer2"], expected)
    assert not torch.equal(before, expected)


def test_the_network_inside_a_verifier(tmp_path: Path) -> None:
    def build() -> nn.Module:
        return triplet(network=resnet8(num_classes=16, in_channels=1), embedding_size=16)

    whole = trained(build())
    features = of_run(run="1a2b", network=build(), weights=checkpoint(whole, tmp_path, metadata=GREY))
    assert features.source == "run 1a2b (ResNet8)" and "layer3" in features.layers
    for key, value in whole.state_dict().items():
        assert torch.equal(features.state_dict()[key], value), key


def test_only_stages_with_maps_are_layers() -> None:
    features = of_run(run="1a2b", network=lenet5(), weights="", load_weights=False)
    assert features.layers == ("features.c1", "features.c3")
    assert [features.channels(name) for name in features.layers] == [6, 16]
    features = of_run(run="1a2b", network=resnet18(num_classes=5), weights="", load_weights=False)
    assert features.layers[-4:] == ("layer1", "layer2", "layer3", "layer4")
    with pytest.raises(ValueError, match=r"task.style_layers: relu1_1 .*layer1, layer2"):
        features.check(["relu1_1"], key="task.style_layers")
    linear = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"no stage that gives maps"):
        of_run(run="1a2b", network=linear, weights="", load_weights=False)


def test_nothing_behind_the_deepest_wanted_layer_is_run() -> None:
    network = resnet8(in_channels=3)
    features = of_run(run="1a2b", network=network, weights="", load_weights=False).train()
    run: list[str] = []
    for name in ("layer1", "layer2", "layer3"):
        network.get_submodule(name).register_forward_pre_hook(lambda *args, name=name: run.append(name))
    image = torch.randn(1, 3, 32, 32, requires_grad=True)
    found = features(image, wanted=["layer2", "stem"])
    assert list(found) == ["layer2", "stem"] and run == ["layer1", "layer2"]
    found["layer2"].sum().backward()
    assert image.grad is not None and not any(module.training for module in features.modules())
    assert not any(each.requires_grad for each in features.parameters())


def test_a_map_is_not_changed_by_the_layer_behind_it() -> None:
    features = of_run(run="1a2b", network=resnet18(num_classes=5), weights="", load_weights=False)
    image = torch.randn(1, 3, 64, 64)
    alone = features(image, wanted=["bn1"])["bn1"]
    assert alone.min() < 0
    assert torch.equal(features(image, wanted=["bn1", "relu"])["bn1"], alone)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist; choose a run"),
        (b"not a checkpoint", "cannot be read: it is no checkpoint"),
        ({"state_dict": {}}, "it is no checkpoint of a run"),
        ({"state_dict": {}, "pipeline": {"metadata": {}}}, "normalises images by itself"),
        ({"state_dict": {}, "pipeline": {"metadata": GREY}}, "is not of run 1a2b"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_a_way_out(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        of_run(run="1a2b", network=resnet8(in_channels=1), weights=str(path))
    assert "model.features.weights=" in str(error.value)
