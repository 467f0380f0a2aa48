"""Trained weights from files in the true formats, and messages when they do not come."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import timm
import torch
import torchvision.models
from torch import Tensor, nn

from lightning_modules.models.classification import timm_models, torchvision_models
from lightning_modules.models.classification.lenet import lenet5
from lightning_modules.models.classification.resnet import resnet18
from lightning_modules.models.classification.resnet8 import resnet8


def state(model: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def save(content: Any, folder: Path, name: str = "weights.pth") -> str:
    torch.save(content, folder / name)
    return str(folder / name)


def different(found: nn.Module, expected: dict[str, Tensor]) -> set[str]:
    return {key for key, value in found.state_dict().items() if not torch.equal(value, expected[key])}


def test_everything_comes_back_from_a_file(tmp_path: Path) -> None:
    expected = state(resnet8())
    assert not different(resnet8(pretrained=save(expected, tmp_path)), expected)
    assert different(resnet8(), expected)


def test_torchvisions_own_file_with_another_number_of_classes(tmp_path: Path) -> None:
    expected = torchvision.models.resnet18(num_classes=20).state_dict()
    path = save(expected, tmp_path)
    model = resnet18(num_classes=5, image_size=224, pretrained=path)
    assert model.fc.weight.shape == (5, 512)
    assert not {key for key in different_where_shapes_agree(model, expected) if not key.startswith("fc.")}
    assert not different(resnet18(num_classes=20, image_size=224, pretrained=path), expected)


def different_where_shapes_agree(model: nn.Module, expected: dict[str, Tensor]) -> set[str]:
    own = model.state_dict()
    same = {key for key in own if own[key].shape == expected[key].shape}
    return {key for key in same if not torch.equal(own[key], expected[key])}


def test_colour_weights_for_grey_images_answer_as_on_grey_colour_images(tmp_path: Path) -> None:
    expected = state(torchvision.models.resnet18(num_classes=20).eval())
    path = save(expected, tmp_path)
    grey = resnet18(num_classes=20, in_channels=1, image_size=224, pretrained=path).eval()
    colour = resnet18(num_classes=20, in_channels=3, image_size=224, pretrained=path).eval()
    images = torch.randn(2, 1, 64, 64)
    torch.testing.assert_close(grey(images), colour(images.repeat(1, 3, 1, 1)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("wrap", ["state_dict", "model"])
def test_a_training_checkpoint(wrap: str, tmp_path: Path) -> None:
    expected = state(resnet8())
    prefixed = {f"model.{key}": value for key, value in expected.items()}
    path = save({wrap: prefixed, "epoch": 3}, tmp_path)
    assert not different(resnet8(pretrained=path), expected)


def test_second_heads_in_a_file_are_left_out(tmp_path: Path) -> None:
    torch.manual_seed(0)
    full = torchvision.models.googlenet(num_classes=4, aux_logits=True, init_weights=False)
    path = save(full.state_dict(), tmp_path)
    model = torchvision_models.by_name(name="googlenet", num_classes=4, pretrained=path)
    assert not different(model, full.state_dict())


def test_timms_own_file(tmp_path: Path) -> None:
    expected = timm.create_model("test_convnext", num_classes=9).state_dict()
    path = save(expected, tmp_path)
    model = timm_models.by_name(name="test_convnext", num_classes=2, in_channels=3, pretrained=path)
    changed = different_where_shapes_agree(model, expected)
    assert not changed
    assert model.get_classifier().weight.shape[0] == 2  # type: ignore[operator]


def test_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    expected = state(lenet5())
    save_file(expected, tmp_path / "weights.safetensors")
    assert not different(lenet5(pretrained=str(tmp_path / "weights.safetensors")), expected)


def test_weights_of_another_network_are_refused_with_the_first_differences(tmp_path: Path) -> None:
    path = save(state(resnet8(in_channels=3)), tmp_path)
    with pytest.raises(
        ValueError, match=r"\(model\.pretrained\) does not fit the model: conv1\.weight is missing.* more;"
    ):
        resnet18(num_classes=5, pretrained=path)
    small = save(state(resnet18(num_classes=5, stem="small")), tmp_path)
    with pytest.raises(ValueError, match=r"conv1\.weight is \(64, 3, 3, 3\) there and \(64, 3, 7, 7\)"):
        resnet18(num_classes=5, stem="imagenet", pretrained=small)


def test_a_file_that_is_not_there_or_holds_no_weights(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.pretrained=nowhere\.pth does not exist"):
        lenet5(pretrained="nowhere.pth")
    with pytest.raises(ValueError, match=r"holds no state dict"):
        lenet5(pretrained=save({"epoch": 3}, tmp_path))


def test_nobody_published_weights() -> None:
    with pytest.raises(ValueError, match=r"model\.pretrained=true, but nobody published weights of LeNet5"):
        lenet5(pretrained=True)


@pytest.mark.parametrize(
    "build", [resnet18, lambda **kwargs: torchvision_models.by_name(name="resnet18", **kwargs)]
)
def test_torchvision_without_network(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(
        OSError, match=r"needs ResNet18_Weights.*resnet18-.*\.pth.*checkpoints.*model\.pretrained=false"
    ):
        build(num_classes=5, image_size=32, pretrained=True)


def test_torchvisions_published_weights_get_a_new_head(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = torchvision.models.resnet18().state_dict()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *args, **kwargs: expected)
    model = resnet18(num_classes=5, image_size=32, pretrained=True)
    assert model.conv1.weight.shape == (64, 3, 7, 7)  # published weights decide stem=auto
    assert not different_where_shapes_agree(model, expected)
    assert model.fc.weight.shape == (5, 512)


def test_timm_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", refuse)
    with pytest.raises(OSError, match=r"weights of test_convnext \(timm/.*no route.*model\.pretrained=false"):
        timm_models.by_name(name="test_convnext", num_classes=5, pretrained=True)


@pytest.mark.parametrize(
    ("module", "name", "near"),
    [
        (torchvision_models, "mobilnet_v3_smal", "mobilenet_v3_small"),
        (torchvision_models, "fcn_resnet50", "resnet50"),
        (timm_models, "convnext_tny", "convnext_tiny"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(module: Any, name: str, near: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.name={name} is not one of the .*did you mean .*{near}"):
        module.by_name(name=name, num_classes=5)


def test_timms_tags_and_weightless_networks() -> None:
    with pytest.raises(ValueError, match=r"unknown tag; timm knows convnext_tiny\..*convnext_tiny\.fb_in1k"):
        timm_models.by_name(name="convnext_tiny.nonsense", num_classes=5)
    with pytest.raises(
        ValueError, match=r"timm has no weights of convnext_zepto_rms_ols\b|timm has no weights"
    ):
        timm_models.by_name(name="resnet200", num_classes=5, pretrained=True)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "swin_tiny_patch4_window7_224"])
def test_timm_networks_get_the_image_size_where_they_need_it(name: str) -> None:
    model = timm_models.by_name(name=name, num_classes=3, in_channels=1, image_size=64, drop_rate=0.1).eval()
    assert model(torch.zeros(1, 1, 64, 64)).shape == (1, 3)


def test_an_option_that_a_network_does_not_have() -> None:
    with pytest.raises(ValueError, match=r"vgg11 does not take one of model\.drop_path_rate"):
        timm_models.by_name(name="vgg11", num_classes=3, drop_path_rate=0.1)


def test_lenet5_refuses_tiny_images_and_unknown_activations() -> None:
    with pytest.raises(ValueError, match=r"lenet5 needs data\.image_size of at least 16, not 8"):
        lenet5(image_size=8)
    with pytest.raises(ValueError, match=r"model\.activation=gelu is not one of relu, tanh"):
        lenet5(activation="gelu")  # type: ignore[arg-type]
    assert lenet5(image_size=16)(torch.zeros(1, 1, 16, 16)).shape == (1, 10)


def test_the_stem_is_one_of_three() -> None:
    with pytest.raises(ValueError, match=r"model\.stem=large is not one of auto, imagenet, small"):
        resnet18(num_classes=3, stem="large")  # type: ignore[arg-type]
