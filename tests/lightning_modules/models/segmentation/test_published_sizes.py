"""Parameters and multiply-adds of the segmenters that people use today, on shapes alone."""

from typing import Any

import pytest
import torch
from torchvision.models import segmentation

from lightning_modules.counting import count_multiply_adds
from tests.lightning_modules.models.segmentation.builders import (
    BUILDERS,
    SMP,
    TORCHVISION,
    light,
    num_parameters,
    on_shapes,
)

SMP_RESNET34 = {"unet": 24_439_269, "fpn": 23_157_973, "deeplabv3plus": 22_442_597}
# With and without the auxiliary head, and torchvision's weights of it.
TORCHVISIONS = [
    ("fcn_resnet50", "resnet50", 35_322_218, 32_957_013, segmentation.FCN_ResNet50_Weights),
    ("fcn_resnet50", "resnet101", 54_314_346, 51_949_141, segmentation.FCN_ResNet101_Weights),
    ("deeplabv3", "resnet50", 42_004_074, 39_638_869, segmentation.DeepLabV3_ResNet50_Weights),
    ("deeplabv3", "resnet101", 60_996_202, 58_630_997, segmentation.DeepLabV3_ResNet101_Weights),
]
# At eleven classes, and at 128 pixels.
LIGHT = {
    "unet": (916_811, 490_733_568),
    "fpn": (748_235, 370_278_400),
    "deeplabv3plus": (704_379, 350_281_728),
    "fcn_resnet50": (357_926, 436_092_928),
    "deeplabv3": (532_278, 607_721_472),
}


def test_no_segmenter_is_left_out() -> None:
    assert set(SMP_RESNET34) == set(SMP)
    assert {row[0] for row in TORCHVISIONS} == set(TORCHVISION)
    assert set(LIGHT) == set(BUILDERS)


@pytest.mark.parametrize("name", sorted(SMP))
def test_networks_of_segmentation_models_pytorch(name: str) -> None:
    assert num_parameters(on_shapes(name)) == SMP_RESNET34[name]
    assert num_parameters(on_shapes(name, encoder="resnet34", scale="light")) == SMP_RESNET34[name]


@pytest.mark.parametrize(("name", "backbone", "with_auxiliary", "without", "weights"), TORCHVISIONS)
def test_networks_of_torchvision(
    name: str, backbone: str, with_auxiliary: int, without: int, weights: Any
) -> None:
    published = on_shapes(name, backbone=backbone)
    meta = weights.COCO_WITH_VOC_LABELS_V1.meta
    assert num_parameters(published) == with_auxiliary == meta["num_params"]
    assert num_parameters(on_shapes(name, backbone=backbone, auxiliary=False)) == without
    counted = count_multiply_adds(published, torch.zeros(1, 3, 520, 520))
    assert counted is not None
    # torchvision counts the resizing of the scores, too.
    assert abs(counted / 1e9 - meta["_ops"]) < 0.02


@pytest.mark.parametrize("name", sorted(LIGHT))
def test_light_networks(name: str) -> None:
    model = light(name, num_classes=11)
    found = num_parameters(model), count_multiply_adds(model, torch.zeros(1, 3, 128, 128))
    assert found == LIGHT[name]


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_published_networks_are_torchvisions_by_every_key_and_shape(name: str) -> None:
    theirs_by_name = {
        "fcn_resnet50": segmentation.fcn_resnet101,
        "deeplabv3": segmentation.deeplabv3_resnet101,
    }
    with torch.device("meta"):
        theirs = theirs_by_name[name](weights=None, weights_backbone=None, aux_loss=True).state_dict()
    ours = on_shapes(name, backbone="resnet101").network.state_dict()
    assert {key: value.shape for key, value in ours.items()} == {
        key: value.shape for key, value in theirs.items()
    }
