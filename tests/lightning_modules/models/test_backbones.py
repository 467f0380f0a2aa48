"""Stages of networks by name: their maps, their norms, and which of them learn."""

from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision.models
from timm.layers import FrozenBatchNormAct2d, GroupNormAct
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from lightning_modules.models.backbones import backbone_stages
from lightning_modules.models.norms import resolve_norm

OPTIONS: dict[str, Any] = {
    "norm": "batch",
    "pretrained": False,
    "finds_weights": False,
    "load_weights": True,
    "trainable": 5,
    "strides": (4, 8, 16, 32),
}


def stages(name: str, **options: Any) -> Any:
    return backbone_stages(name=name, **{**OPTIONS, **options})


def counts(model: nn.Module, *kinds: type[nn.Module]) -> list[int]:
    return [sum(type(module) is kind for module in model.modules()) for kind in kinds]


@pytest.mark.parametrize(
    ("name", "channels", "strides"),
    [
        ("light", (64, 128, 128), (4, 8, 16)),
        ("resnet18", (64, 128, 256, 512), (4, 8, 16, 32)),
        ("resnext50_32x4d", (256, 512, 1024, 2048), (4, 8, 16, 32)),
        ("test_convnext", (24, 32, 48, 64), (4, 8, 16, 32)),
        ("mobilenetv3_small_050", (16, 24, 288), (8, 16, 32)),
        ("swin_tiny_patch4_window7_224", (96, 192, 384, 768), (4, 8, 16, 32)),
    ],
)
def test_maps_have_the_channels_and_strides_they_say(
    name: str, channels: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    wanted = (8, 16, 32) if name.startswith("mobile") else (4, 8, 16, 32)
    with torch.device("meta"):
        body = stages(name, strides=wanted, norm="auto")
        maps = body.eval()(torch.zeros(2, 3, 224, 224))
    assert (body.channels, body.strides) == (channels, strides)
    assert list(maps) == [str(position) for position in range(len(channels))]
    for map_, width, stride in zip(maps.values(), channels, strides, strict=True):
        assert map_.shape == (2, width, 224 // stride, 224 // stride)


def test_what_lies_behind_the_last_map_is_left_out() -> None:
    with torch.device("meta"):
        assert "layer4" not in stages("resnet50", strides=(4, 16))
        assert set(stages("light", strides=(4, 8))) == {"conv1", "bn1", "relu", "layer1", "layer2", "layer3"}


def test_maps_are_those_of_the_uncut_network() -> None:
    torch.manual_seed(0)
    body = stages("resnet18").eval()
    whole = torchvision.models.resnet18().eval()
    whole.load_state_dict({**whole.state_dict(), **body.state_dict()})
    images = torch.randn(1, 3, 64, 64)
    pooled = body(images)["3"].mean(dim=(2, 3))
    torch.testing.assert_close(whole.fc(pooled), whole(images))


@pytest.mark.parametrize(
    ("norm", "kind"),
    [
        ("batch", nn.BatchNorm2d),
        ("frozen", FrozenBatchNorm2d),
        ("group", nn.GroupNorm),
        ("sync", nn.SyncBatchNorm),
    ],
)
def test_every_norm_is_of_the_kind_that_was_asked_for(norm: str, kind: type[nn.Module]) -> None:
    kinds = (nn.BatchNorm2d, FrozenBatchNorm2d, nn.GroupNorm, nn.SyncBatchNorm)
    with torch.device("meta"):
        assert counts(stages("resnet50", norm=norm), *kinds) == [53 * (each is kind) for each in kinds]
        assert counts(stages("light", norm=norm), *kinds)[kinds.index(kind)] == 12
        groups = {m.num_groups for m in stages("resnet50", norm="group").modules() if type(m) is nn.GroupNorm}
    assert groups == {32}


def test_norms_of_timm_are_exchanged_with_their_activations() -> None:
    images = torch.randn(2, 3, 64, 64)
    frozen, grouped = (stages("mobilenetv3_small_050", norm=norm) for norm in ("frozen", "group"))
    assert counts(frozen, FrozenBatchNormAct2d, nn.BatchNorm2d)[0] > 20
    assert counts(grouped, GroupNormAct)[0] > 20
    for body in (frozen, grouped):
        assert not [module for module in body.modules() if isinstance(module, nn.BatchNorm2d)]
        assert all(torch.isfinite(found).all() for found in body(images).values())
    activations = sum(isinstance(m, nn.Hardswish | nn.ReLU) for m in grouped.modules())
    assert activations == sum(isinstance(m, nn.Hardswish | nn.ReLU) for m in frozen.modules()) > 10
    plain = stages("resnet26.bt_in1k", norm="group")
    assert counts(plain, nn.GroupNorm)[0] + counts(plain, GroupNormAct)[0] > 20


def test_a_norm_that_there_is_nothing_to_exchange_for_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.norm=frozen.*test_convnext has no batch norm.*auto"):
        stages("test_convnext", norm="frozen")


@pytest.mark.parametrize(
    ("norm", "light", "pretrained", "expected"),
    [
        ("auto", True, True, "batch"),
        ("auto", False, True, "frozen"),
        ("auto", False, False, "group"),
        ("sync", True, False, "sync"),
    ],
)
def test_auto(norm: str, light: bool, pretrained: bool, expected: str) -> None:
    assert resolve_norm(norm, light=light, pretrained=pretrained) == expected
    with pytest.raises(ValueError, match=r"model\.norm=layer is not one of auto, batch, frozen, group, sync"):
        resolve_norm("layer", light=light, pretrained=pretrained)


def frozen_parts(body: nn.Module) -> set[str]:
    return {name.split(".")[0] for name, value in body.named_parameters() if not value.requires_grad}


@pytest.mark.parametrize("trainable", range(6))
@pytest.mark.parametrize("strides", [(4, 8, 16, 32), (8, 16, 32)])
def test_stages_next_to_the_image_are_frozen_as_torchvision_counts_them(
    trainable: int, strides: tuple[int, ...]
) -> None:
    order = [{"conv1", "bn1"}, {"layer1"}, {"layer2"}, {"layer3"}, {"layer4"}]
    with torch.device("meta"):
        body = stages("resnet18", trainable=trainable, strides=strides)
    assert frozen_parts(body) == set().union(*order[: 5 - trainable])


def test_stages_of_timm_are_frozen_too() -> None:
    found = []
    for trainable in range(6):
        body = stages("test_convnext", trainable=trainable, norm="auto")
        found.append({name for name, value in body.named_parameters() if not value.requires_grad})
    assert not found[5]
    assert {name.split(".")[1] for name in found[4]} == {"stem_0", "stem_1"}
    assert all(more > fewer for more, fewer in pairwise(found))
    assert found[0] == {name for name, _ in body.named_parameters()}


def hub(folder: Path, name: str, state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a file where a download would be kept."""
    (folder / "checkpoints").mkdir()
    torch.save(state, folder / "checkpoints" / name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))


def test_weights_of_imagenet_come_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    state = torchvision.models.resnet18().state_dict()
    hub(tmp_path, "resnet18-f37072fd.pth", state, monkeypatch)
    body = stages("resnet18", norm="frozen", pretrained=True)
    assert all(torch.equal(value, state[key]) for key, value in body.state_dict().items())
    left = stages("resnet18", norm="frozen", pretrained=True, load_weights=False)
    assert not torch.equal(left["conv1"].weight, state["conv1.weight"])


def test_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(
        OSError, match=r"model\.pretrained=backbone needs ResNet18_Weights.*resnet18-.*pth.*pretrained=none"
    ):
        stages("resnet18", norm="frozen", pretrained=True)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", refuse)
    with pytest.raises(OSError, match=r"timm's weights of test_convnext.*no route.*model\.pretrained=none"):
        stages("test_convnext", norm="auto", pretrained=True)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet50x", {}, r"model\.backbone=resnet50x is neither light nor .*did you mean .*resnet50"),
        (
            "test_vit",
            {"norm": "auto"},
            r"model\.backbone=test_vit has maps of strides \[16, .*choose",
        ),
        ("light", {"pretrained": True}, r"nobody published weights of the light backbone"),
        ("resnet18", {"pretrained": True, "norm": "group"}, r"model\.norm=group does not fit"),
    ],
)
def test_what_does_not_go_together_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stages(name, **options)
