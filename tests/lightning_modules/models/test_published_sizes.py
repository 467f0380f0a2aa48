"""Parameters and multiply-adds of the published networks, on shapes alone."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from lightning_modules.counting import count_multiply_adds
from lightning_modules.models.classification import lenet, resnet, resnext, wide_resnet
from lightning_modules.models.classification.resnet8 import resnet8
from lightning_modules.models.classification.torchvision_models import by_name
from lightning_modules.models.stems import Stem

IMAGENET = [
    (resnet.resnet18, 11_689_512, 1_814_073_344),
    (resnet.resnet34, 21_797_672, 3_663_761_408),
    (resnet.resnet50, 25_557_032, 4_089_184_256),
    (resnet.resnet101, 44_549_160, 7_801_405_440),
    (resnet.resnet152, 60_192_808, 11_513_626_624),
    (resnext.resnext50_32x4d, 25_028_904, 4_230_479_872),
    (wide_resnet.wide_resnet50_2, 68_883_240, 11_398_021_120),
]
BY_NAME = [
    ("vgg11", 132_863_336, 7_609_090_048, 224),
    ("densenet121", 7_978_856, 2_834_161_664, 224),
    ("googlenet", 6_624_904, 1_498_376_192, 224),
    ("inception_v3", 23_834_568, 5_713_216_096, 299),
    ("squeezenet1_1", 1_235_496, 349_151_936, 224),
]


def sizes(model: nn.Module, *, channels: int, side: int) -> tuple[int, int | None]:
    example = torch.zeros(1, channels, side, side, device="meta")
    return sum(each.numel() for each in model.parameters()), count_multiply_adds(model, example)


@pytest.mark.parametrize(("builder", "parameters", "multiply_adds"), IMAGENET)
def test_residual_networks(builder: Callable[..., nn.Module], parameters: int, multiply_adds: int) -> None:
    with torch.device("meta"):
        model = builder(num_classes=1000)
    assert sizes(model, channels=3, side=224) == (parameters, multiply_adds)


def test_lenet5() -> None:
    assert sizes(lenet.lenet5(), channels=1, side=32) == (61_706, 416_520)
    assert sizes(lenet.lenet5(activation="tanh"), channels=1, side=32) == (61_706, 416_520)


def test_resnet8() -> None:
    assert sizes(resnet8(), channels=3, side=32)[0] == 308_650
    assert sizes(resnet8(in_channels=1), channels=1, side=32)[0] == 308_074


@pytest.mark.parametrize(("name", "parameters", "multiply_adds", "side"), BY_NAME)
def test_by_name_without_second_heads(name: str, parameters: int, multiply_adds: int, side: int) -> None:
    with torch.device("meta"):
        model = by_name(name=name, num_classes=1000, image_size=side)
    assert sizes(model, channels=3, side=side) == (parameters, multiply_adds)


def test_attention_is_not_counted_but_its_linear_layers_are() -> None:
    with torch.device("meta"):
        model = by_name(name="vit_b_16", num_classes=1000)
    tokens, width = 197, 768
    layers = 12 * (4 * width**2 + 2 * width * 4 * width) * tokens
    expected = 196 * 16 * 16 * 3 * width + layers + width * 1000
    assert sizes(model, channels=3, side=224) == (86_567_656, expected)


@pytest.mark.parametrize(
    ("stem", "image_size", "side"), [("auto", 32, 4), ("auto", 224, 7), ("imagenet", 32, 1), ("small", 64, 8)]
)
def test_the_stem_fits_the_image(stem: Stem, image_size: int, side: int) -> None:
    with torch.device("meta"):
        model = resnet.resnet18(num_classes=10, image_size=image_size, stem=stem)
        model.avgpool, model.fc = nn.Identity(), nn.Identity()
        features = model(torch.zeros(2, 3, image_size, image_size))
    assert features.shape == (2, 512 * side * side)
