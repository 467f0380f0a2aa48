"""Trained weights for the segmenters that people use today: from caches and files, or none."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import ResNet50_Weights, resnet50, segmentation

from lightning_modules.models.segmentation import smp_encoders
from tests.lightning_modules.models.segmentation.builders import (
    BUILDERS,
    SMP,
    TORCHVISION,
    light,
    numbered,
    on_shapes,
    save,
)

FCN = segmentation.FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1


def equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return set(found) == set(expected) and all(torch.equal(found[key], expected[key]) for key in found)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_segmenter_comes_back_from_a_file(name: str, tmp_path: Path) -> None:
    model = light(name)
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    forms = [expected, model.network.state_dict(), {f"model.{key}": value for key, value in expected.items()}]
    for state in forms:
        path = save({"state_dict": state}, tmp_path)
        torch.manual_seed(1)
        found = BUILDERS[name](num_classes=3, scale="light", pretrained=path)
        assert equal(found.state_dict(), expected)
    assert not equal(BUILDERS[name](num_classes=3, scale="light").state_dict(), expected)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_another_number_of_classes_leaves_only_the_last_layers_random(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = {key: torch.full_like(value, 2) for key, value in light(name, num_classes=7).state_dict().items()}
    found = light(name, num_classes=3, pretrained=save(state, tmp_path)).state_dict()
    random = {key.rpartition(".")[0] for key, value in found.items() if not (value == 2).all()}
    last = {"segmentation_head.0"} if name in SMP else {"classifier.4", "aux_classifier.4"}
    assert random == {f"network.{layer}" for layer in last}
    (record,) = caplog.records
    assert record.getMessage().endswith(f"random weights: {', '.join(sorted(last))}")


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_the_auxiliary_head_may_be_missing_on_either_side(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = light(name).state_dict()
    plain = light(name, auxiliary=False, pretrained=save(whole, tmp_path, "whole.pth"))
    assert equal(plain.state_dict(), {key: whole[key] for key in whole if "aux" not in key})
    assert not caplog.records
    found = light(name, pretrained=save(plain.state_dict(), tmp_path, "plain.pth")).state_dict()
    assert equal({key: found[key] for key in found if "aux" not in key}, plain.state_dict())
    (record,) = caplog.records
    assert "aux_classifier.0, aux_classifier.1, aux_classifier.4" in record.getMessage()


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_weights_that_do_not_fit_are_refused_with_the_first_differences(name: str, tmp_path: Path) -> None:
    other = "unet" if name in TORCHVISION else "deeplabv3"
    path = save(light(other).state_dict(), tmp_path, "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth\) do not fit the model: .*is missing.* more; choose"):
        light(name, pretrained=path)
    state = light(name).network.state_dict()
    first = next(iter(state))
    wrong = {**state, first: torch.zeros(32, 3, 3, 3)}
    with pytest.raises(
        ValueError, match=r"weight is \(32, 3, 3, 3\) there and \(32, 3, 7, 7\) in the model;"
    ):
        light(name, pretrained=save(wrong, tmp_path))
    with pytest.raises(ValueError, match=r"the model: strange\.weight is unknown; choose"):
        light(name, pretrained=save({**state, "strange.weight": torch.zeros(1)}, tmp_path))


def test_a_batch_norm_of_an_old_file_does_not_count_its_batches(tmp_path: Path) -> None:
    state = light("unet").state_dict()
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert len(old) < len(state)
    assert equal(light("unet", pretrained=save(old, tmp_path)).state_dict(), state)


@pytest.mark.parametrize("content", [{"epoch": 3}, {"state_dict": {}}])
def test_a_file_that_holds_no_weights(content: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"weights\.pth holds no state dict"):
        light("unet", pretrained=save(content, tmp_path))


def test_the_published_network_comes_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state = numbered(on_shapes("fcn_resnet50").network.state_dict())
    save(state, tmp_path / "checkpoints", FCN.url.rpartition("/")[2])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    same = TORCHVISION["fcn_resnet50"](num_classes=21, pretrained="coco").network
    assert equal(same.state_dict(), state)
    assert not caplog.records
    found = TORCHVISION["fcn_resnet50"](
        num_classes=5, pretrained="coco", auxiliary=False
    ).network.state_dict()
    differing = {key for key in found if found[key].shape != state[key].shape}
    assert differing == {"classifier.4.weight", "classifier.4.bias"}
    assert all(torch.equal(found[key], state[key]) for key in found if key not in differing)
    (record,) = caplog.records
    assert record.getMessage().endswith("classifier.4")


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_imagenet_weights_fill_the_backbone_and_nothing_else(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.device("meta"):
        shapes = resnet50().state_dict()
    state = numbered(shapes)
    asked = []

    def fetch(weights: Any, *, word: str) -> Any:
        asked.append((weights, word))
        return state

    monkeypatch.setattr("lightning_modules.models.segmentation.torchvision_segmenters.fetch", fetch)
    found = TORCHVISION[name](num_classes=3, pretrained="backbone").network
    assert asked == [(ResNet50_Weights.IMAGENET1K_V1, "backbone")]
    assert equal(found.backbone.state_dict(), {key: state[key] for key in state if "fc." not in key})
    assert all(value.std() > 0 for value in found.classifier.parameters() if value.ndim > 1)


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18"])
def test_imagenet_weights_fill_the_encoder(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get_encoder(name: str, *, weights: Any) -> nn.Module:
        asked.append((name, weights))
        with torch.device("meta"):
            known = smp_encoders.encoders["resnet18"] if name == "resnet18" else None
            plain = on_shapes("unet", encoder=name).network.encoder
        assert known is None or isinstance(plain, known["encoder"])
        state = numbered(plain.state_dict())
        plain.state_dict = lambda: state
        return plain

    monkeypatch.setattr(smp_encoders, "get_encoder", get_encoder)
    model = SMP["unet"](num_classes=3, encoder=encoder, pretrained="backbone")
    assert asked == [(encoder, "imagenet" if encoder == "resnet18" else True)]
    found = model.network.encoder.state_dict()
    assert equal(found, {key: value.clone() for key, value in numbered(found).items()})


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_weights_that_a_checkpoint_brings_need_no_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", None)
    monkeypatch.setattr(smp_encoders, "get_encoder", None)
    plain = {key: value.shape for key, value in on_shapes(name).state_dict().items()}
    words = ("backbone", "elsewhere.pth") + (("coco",) if name in TORCHVISION else ())
    for word in words:
        state = on_shapes(name, pretrained=word, load_weights=False).state_dict()
        assert {key: value.shape for key, value in state.items()} == plain


@pytest.mark.parametrize("name", sorted(TORCHVISION))
@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("coco", r"_ResNet101_Weights.*resnet101_coco-.*\.pth"),
        ("backbone", r"ResNet101_Weights.*resnet101-.*pth"),
    ],
)
def test_torchvisions_weights_without_network(
    name: str, word: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(
        OSError, match=rf"model\.pretrained={word} needs .*{found}.*no route.*checkpoints.*pretrained=none"
    ):
        on_shapes(name, backbone="resnet101", pretrained=word)


@pytest.mark.parametrize(
    ("encoder", "source"),
    [("resnet34", "smp-hub/resnet34.imagenet"), ("convnext_atto", r"timm/convnext_atto\..*")],
)
def test_the_hub_without_network(encoder: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", refuse)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", refuse)
    with pytest.raises(
        OSError,
        match=rf"pretrained=backbone needs the weights of {encoder} \({source}\).*no route.*pretrained=none",
    ):
        SMP["unet"](num_classes=3, encoder=encoder, pretrained="backbone")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unet", {"pretrained": "coco"}, r"pretrained=coco is none of none, backbone, and there is no"),
        ("fpn", {"pretrained": "nowhere.pth"}, r"pretrained=nowhere\.pth is none of none, backbone, and"),
        ("deeplabv3", {"pretrained": "nowhere.pth"}, r"nowhere\.pth is none of none, backbone, coco, and"),
        (
            "deeplabv3",
            {"pretrained": "coco", "scale": "light"},
            r"pretrained=coco, but nobody .* light .* model\.backbone=resnet50 or model\.pretrained=none",
        ),
        (
            "deeplabv3plus",
            {"pretrained": "backbone", "scale": "light"},
            r"pretrained=backbone, but nobody .* light .* model\.encoder=resnet34",
        ),
        (
            "unet",
            {"pretrained": "backbone", "encoder": "test_unet"},
            r"model\.encoder=test_unet is neither",
        ),
        (
            "unet",
            {"pretrained": "backbone", "encoder": "resnet200"},
            r"nobody published ImageNet weights of model\.encoder=resnet200; choose",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        on_shapes(name, **options)
