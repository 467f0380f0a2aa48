"""The segmenters that people use today: sizes, gradients, encoders, small batches."""

from typing import Any

import pytest
import segmentation_models_pytorch
import timm
import torch
from torch import nn
from torch.nn import functional

from lightning_modules.models.segmentation.dilation import dilate
from lightning_modules.models.segmentation.smp_encoders import resolve_encoder
from tests.lightning_modules.models.segmentation.builders import BUILDERS, SMP, TORCHVISION, light, on_shapes


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_light_network_answers_at_any_size_and_every_weight_gets_a_gradient(name: str) -> None:
    model = light(name)
    scores = model.training_scores(torch.randn(2, 3, 97, 131))
    assert set(scores) == ({"out", "aux"} if name in TORCHVISION else {"out"})
    for each in scores.values():
        assert each.shape == (2, 3, 97, 131)
        assert torch.isfinite(each).all()
    sum(each.square().mean() for each in scores.values()).backward()
    assert not [key for key, value in model.named_parameters() if value.grad is None or not value.grad.any()]


@pytest.mark.parametrize("name", sorted(BUILDERS))
@pytest.mark.parametrize("size", [(97, 131), (64, 64), (33, 20)])
def test_a_published_network_answers_at_any_size(name: str, size: tuple[int, int]) -> None:
    with torch.device("meta"):
        model = on_shapes(name, num_classes=5)
        for each in model.training_scores(torch.zeros(2, 3, *size)).values():
            assert each.shape == (2, 5, *size)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_answer_does_not_depend_on_the_batch(name: str) -> None:
    model = light(name).eval()
    images = torch.randn(3, 3, 40, 56)
    with torch.no_grad():
        together, alone = model(images), model(images[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_head_is_everything_behind_the_encoder(name: str) -> None:
    body = "network.encoder." if name in SMP else "network.backbone."
    for model in (light(name), on_shapes(name)):
        head = model.head_parameters()
        names = {key for key, _ in model.named_parameters()}
        assert head == {key for key in names if not key.startswith(body)}
        assert 0 < len(head) < len(names)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_last_batch_may_be_one_image(name: str) -> None:
    model = light(name)
    model.training_scores(torch.randn(1, 3, 32, 48))["out"].mean().backward()
    images = torch.randn(2, 3, 32, 48)
    # With two images nothing differs from torch's own batch norm.
    torch.manual_seed(1)
    expected = model.training_scores(images)["out"]
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = nn.BatchNorm2d
    torch.manual_seed(1)
    assert torch.equal(model.training_scores(images)["out"], expected)


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_without_the_auxiliary_head(name: str) -> None:
    model = light(name, auxiliary=False)
    assert set(model.training_scores(torch.randn(2, 3, 32, 32))) == {"out"}
    assert not [key for key in model.state_dict() if "aux" in key]


@pytest.mark.parametrize("name", sorted(SMP))
@pytest.mark.parametrize("encoder", ["tu-resnet18", "convnext_atto", "mobilenet_v2"])
def test_any_encoder(name: str, encoder: str) -> None:
    with torch.device("meta"):
        model = on_shapes(name, num_classes=5, encoder=encoder, scale="light")
        assert model(torch.zeros(2, 3, 97, 131)).shape == (2, 5, 97, 131)


def test_a_transformer_that_was_made_for_one_size_sees_others() -> None:
    model = SMP["unet"](num_classes=5, encoder="swin_tiny_patch4_window7_224").eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 50, 70)).shape == (1, 5, 50, 70)


def test_names_of_encoders() -> None:
    assert resolve_encoder("resnet34") == "resnet34"
    assert resolve_encoder("convnext_tiny") == resolve_encoder("tu-convnext_tiny") == "tu-convnext_tiny"
    assert resolve_encoder("convnext_tiny.fb_in1k") == "tu-convnext_tiny.fb_in1k"
    some = [*segmentation_models_pytorch.encoders.get_encoder_names()[::20], *timm.list_models()[::100]]
    assert all(resolve_encoder(name).removeprefix("tu-") == name for name in some)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unet", {"encoder": "resnet43"}, r"model\.encoder=resnet43 is neither light nor .*resnet34"),
        ("unet", {"encoder": "lihgt"}, r"model\.encoder=lihgt is neither .*did you mean light"),
        ("fpn", {"encoder": "zzzzz"}, r"model\.encoder=zzzzz is neither .*resnet34 is the usual one"),
        ("unet", {"encoder": "vit_tiny_patch16_224"}, r"vit_tiny.* does not fit Unet .*downsampling"),
        ("deeplabv3plus", {"encoder": "vgg16_bn"}, r"vgg16_bn does not fit DeepLabV3Plus .*dilated"),
        ("deeplabv3plus", {"encoder": "tu-vgg16"}, r"tu-vgg16 does not fit DeepLabV3Plus \(AssertionError\)"),
        ("fcn_resnet50", {"backbone": "resnet18"}, r"backbone=resnet18 is not one of light, resnet50, res"),
        ("deeplabv3", {"scale": "huge"}, r"model\.scale=huge is not one of light, published"),
        ("unet", {"scale": "huge"}, r"model\.scale=huge is not one of light, published"),
    ],
)
def test_what_does_not_exist_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        on_shapes(name, **options)


def test_a_dilated_stage_sees_the_same_places_on_a_larger_map() -> None:
    torch.manual_seed(0)
    stage = nn.Sequential(nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Conv2d(3, 2, 3, padding=1))
    images = torch.randn(1, 2, 16, 16)
    coarse = stage(images)
    # The first kernel has no gaps: what it skipped lies between the places that the others see.
    stage[0].stride = (1, 1)
    dilate(stage[1], 2)
    fine = stage(images)
    assert fine.shape == (1, 2, 16, 16)
    torch.testing.assert_close(fine[..., ::2, ::2], coarse)


def test_published_scores_are_torchvisions() -> None:
    model = TORCHVISION["fcn_resnet50"](num_classes=4).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(model(images), model.network(images)["out"])
        odd = model(images[..., :50, :90])
        padded = functional.pad(images[..., :50, :90], (0, 6, 0, 6))
        assert torch.equal(odd, model.network(padded)["out"][..., :50, :90])
