"""Parameters and multiply-adds of the published detectors, on shapes alone."""

import pytest
import torch
from torchvision.models import detection

from lightning_modules.counting import count_multiply_adds
from tests.lightning_modules.models.detection.builders import BUILDERS, light, num_parameters, on_shapes

# With norms that learn, and with frozen ones as in torchvision's weights.
COUNTS = {
    "faster_rcnn": (41_808_406, detection.FasterRCNN_ResNet50_FPN_Weights.COCO_V1),
    "mask_rcnn": (44_454_513, detection.MaskRCNN_ResNet50_FPN_Weights.COCO_V1),
    "retinanet": (34_068_119, detection.RetinaNet_ResNet50_FPN_Weights.COCO_V1),
    "fcos": (32_322_720, detection.FCOS_ResNet50_FPN_Weights.COCO_V1),
}
LIGHT = {
    "faster_rcnn": 1_319_349,
    "mask_rcnn": 1_410_368,
    "retinanet": 571_405,
    "fcos": 554_928,
    "ssd300": 449_402,
}
# 100 masks of 14 x 14 places through four 3x3 convolutions of 256 channels, a doubling and 91 outputs.
MASK_HEAD = 100 * 14 * 14 * (4 * 9 * 256**2 + 4 * 256**2 + 4 * 256 * 91)


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_published_parameters(name: str) -> None:
    trainable, weights = COUNTS[name]
    assert num_parameters(on_shapes(name, norm="batch")) == trainable
    assert num_parameters(on_shapes(name, norm="frozen")) == weights.meta["num_params"] == trainable - 53_120
    assert num_parameters(on_shapes(name, norm="group")) == trainable


def test_ssd_for_pascal_voc_and_for_coco() -> None:
    weights = detection.SSD300_VGG16_Weights.COCO_V1
    assert num_parameters(on_shapes("ssd300")) == 26_285_486
    assert num_parameters(on_shapes("ssd300", num_classes=90)) == weights.meta["num_params"] == 35_641_826


@pytest.mark.parametrize("name", sorted(LIGHT))
def test_light_parameters_at_ten_classes(name: str) -> None:
    assert num_parameters(light(name, num_classes=10, image_size=128)) == LIGHT[name]


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_multiply_adds_are_torchvisions_to_its_last_digit(name: str) -> None:
    counted = count_multiply_adds(on_shapes(name), torch.zeros(1, 3, 800, 800))
    assert counted is not None
    # torchvision counted Mask R-CNN on an image in which nothing was found, so without any mask.
    masks = MASK_HEAD if name == "mask_rcnn" else 0
    published = COUNTS[name][1].meta["_ops"] * 1e9
    assert abs(counted - masks - published) < 0.005e9


def test_multiply_adds_of_ssd() -> None:
    counted = count_multiply_adds(on_shapes("ssd300", num_classes=90), torch.zeros(1, 3, 300, 300))
    assert counted is not None
    assert abs(counted / 1e9 - detection.SSD300_VGG16_Weights.COCO_V1.meta["_ops"]) < 0.005


def test_published_networks_are_torchvisions_by_every_key_and_shape() -> None:
    for name in sorted(COUNTS):
        with torch.device("meta"):
            builder = getattr(detection, f"{name.replace('_', '')}_resnet50_fpn")
            theirs = builder(weights=None, weights_backbone=None).state_dict()
        ours = on_shapes(name, norm="batch").network.state_dict()
        assert {key: value.shape for key, value in ours.items()} == {
            key: value.shape for key, value in theirs.items()
        }


def test_the_published_ssd_is_made_for_300_pixels() -> None:
    detector = on_shapes("ssd300", image_size=800)
    assert detector.network.transform.fixed_size == (300, 300)
    with pytest.raises(ValueError, match=r"SSD is made for one size of images"):
        detector.rescale(1.25)
    detector.rescale(1.0)


@pytest.mark.parametrize("name", sorted(LIGHT))
def test_unknown_scales_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"model\.scale=huge is not one of light, published"):
        BUILDERS[name](scale="huge")


@pytest.mark.parametrize(
    ("scale", "given", "kept"), [("published", None, 0.2), ("light", None, 0.05), ("light", 0.4, 0.4)]
)
def test_fcos_keeps_the_score_of_its_scale(scale: str, given: float | None, kept: float) -> None:
    with torch.device("meta"):
        detector = BUILDERS["fcos"](num_classes=3, image_size=128, scale=scale, score_threshold=given)
    assert detector.network.score_thresh == kept
