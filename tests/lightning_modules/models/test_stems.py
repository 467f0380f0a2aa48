"""Small images are not shrunk to nothing, and large ones are seen as published."""

import pytest
import torch
from torch import nn

from lightning_modules.models.classification import timm_models, torchvision_models
from lightning_modules.models.stems import keep_size_at_first, wants_small_stem


@pytest.mark.parametrize(
    ("stem", "image_size", "pretrained", "is_small"),
    [
        ("auto", 32, False, True),
        ("auto", 65, False, False),
        ("auto", 32, True, False),
        ("small", 224, True, True),
        ("imagenet", 32, False, False),
    ],
)
def test_when_the_stem_is_small(stem: str, image_size: int, pretrained: bool, is_small: bool) -> None:
    assert wants_small_stem(stem=stem, image_size=image_size, pretrained=pretrained) is is_small


def test_an_unknown_stem_is_named() -> None:
    with pytest.raises(ValueError, match=r"model\.stem=tiny is not one of auto, imagenet, small"):
        wants_small_stem(stem="tiny", image_size=32, pretrained=False)


def last_map(network: nn.Module) -> int:
    """Side of what the last convolution sees of a 32-pixel image."""
    sides: list[int] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, inputs, __: sides.append(inputs[0].shape[-1]))
    network.eval()(torch.zeros(1, 3, 32, 32))
    return max(sides[-3:])


@pytest.mark.parametrize(
    ("build", "name", "factor"),
    [
        (torchvision_models.by_name, "mobilenet_v3_small", 2),
        (torchvision_models.by_name, "densenet121", 4),
        (torchvision_models.by_name, "squeezenet1_1", 4),
        (timm_models.by_name, "resnet10t", 4),
        (timm_models.by_name, "efficientnet_lite0", 2),
    ],
)
def test_small_images_keep_their_size_at_first(build, name: str, factor: int) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    small = build(name=name, num_classes=3, image_size=32)
    published = build(name=name, num_classes=3, image_size=32, stem="imagenet")
    assert last_map(small) >= factor * last_map(published) - 2
    assert {key: value.shape for key, value in small.state_dict().items()} == {
        key: value.shape for key, value in published.state_dict().items()
    }


@pytest.mark.parametrize("name", ["vit_b_16", "vgg11"])
def test_patches_and_strides_of_one_stay(name: str) -> None:
    with torch.device("meta"):
        network = torchvision_models.by_name(name=name, num_classes=3, image_size=32, stem="imagenet")
        first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
        before = first.stride
        keep_size_at_first(network)
    assert first.stride == before
