"""Anchors that are given are the anchors that are used."""

from typing import Any

import pytest
import torch
from torchvision.models import detection
from torchvision.models.detection.image_list import ImageList

from lightning_modules.models.detection.anchors import dealt
from tests.lightning_modules.models.detection.builders import light, on_shapes, pictures, targets

FOUR = [[30.0, 20.0], [5.5, 9.25], [40.0, 41.0], [12.0, 10.0]]
SMALL, LARGE = [[5.5, 9.25], [12.0, 10.0]], [[30.0, 20.0], [40.0, 41.0]]


def sizes_of(cells: torch.Tensor) -> list[list[float]]:
    torch.testing.assert_close(cells[:, :2], -cells[:, 2:])
    return (2 * cells[:, 2:]).tolist()


def generator_of(name: str, **options: Any) -> Any:
    network = on_shapes(name, **options).network
    return network.rpn.anchor_generator if name in ("faster_rcnn", "mask_rcnn") else network.anchor_generator


@pytest.mark.parametrize("name", ["faster_rcnn", "mask_rcnn", "retinanet"])
def test_given_anchors_are_dealt_by_area_and_used_exactly(name: str) -> None:
    generator = generator_of(name, scale="light", image_size=128, anchors=FOUR)
    assert [sizes_of(cells) for cells in generator.cell_anchors] == [SMALL, LARGE]
    assert generator.num_anchors_per_location() == [2, 2]


@pytest.mark.parametrize(("scale", "size", "levels"), [("light", 128, 2), ("published", 300, 6)])
def test_default_boxes_of_ssd_are_the_given_ones(scale: str, size: int, levels: int) -> None:
    given = [[10.0 + step, 20.0 + 2 * step] for step in range(2 * levels)]
    generator = generator_of("ssd300", scale=scale, image_size=size, anchors=given)
    assert generator.num_anchors_per_location() == [2] * levels
    images = ImageList(torch.zeros(1, 3, size, size), [(size, size)])
    maps = [torch.zeros(1, 1, 1, 1) for _ in range(levels)]
    (boxes,) = generator(images, maps)
    torch.testing.assert_close(boxes[:, 2:] - boxes[:, :2], torch.tensor(given))


def test_anchors_for_ssd_belong_to_the_size_of_the_data() -> None:
    given = [[60.0, 80.0]] * 6
    generator = generator_of("ssd300", image_size=600, anchors=given)
    (boxes,) = generator(ImageList(torch.zeros(1, 3, 300, 300), [(300, 300)]), [torch.zeros(1, 1, 1, 1)] * 6)
    torch.testing.assert_close(boxes[:, 2:] - boxes[:, :2], torch.tensor([[30.0, 40.0]] * 6))


@pytest.mark.parametrize("name", ["faster_rcnn", "retinanet", "ssd300"])
def test_networks_with_given_anchors_learn(name: str) -> None:
    network = light(name, anchors=FOUR)
    sum(network(pictures(), targets()).values()).backward()
    heads = [value.grad for key, value in network.named_parameters() if "backbone" not in key]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in heads)
    assert any(gradient.abs().sum() > 0 for gradient in heads)


@pytest.mark.parametrize("name", ["faster_rcnn", "mask_rcnn", "retinanet"])
def test_published_anchors_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        builder = getattr(detection, f"{name.replace('_', '')}_resnet50_fpn")
        theirs = builder(weights=None, weights_backbone=None)
    expected = theirs.anchor_generator if name == "retinanet" else theirs.rpn.anchor_generator
    for found, cells in zip(generator_of(name).cell_anchors, expected.cell_anchors, strict=True):
        assert torch.equal(found, cells)


def test_published_default_boxes_are_8732() -> None:
    generator = generator_of("ssd300")
    maps = [torch.zeros(1, 1, side, side) for side in (38, 19, 10, 5, 3, 1)]
    (boxes,) = generator(ImageList(torch.zeros(1, 3, 300, 300), [(300, 300)]), maps)
    assert len(boxes) == 8732


def test_light_anchors_grow_with_the_image() -> None:
    small, large = (generator_of("faster_rcnn", scale="light", image_size=size) for size in (128, 256))
    for first, second in zip(small.cell_anchors, large.cell_anchors, strict=True):
        assert (second / first).sub(2).abs().max() < 0.3  # they are rounded
    heights_by_widths = torch.cat([cells[:, 3] / cells[:, 2] for cells in small.cell_anchors])
    assert heights_by_widths.min() == 1
    assert heights_by_widths.max() > 1.9


def test_one_light_stage_has_upright_anchors_and_most_of_them_on_the_fine_map() -> None:
    fine, coarse = generator_of("retinanet", scale="light", image_size=128).cell_anchors
    for cells, roots in ((fine, [13, 19, 28]), (coarse, [40, 52, 64])):
        widths, heights = (cells[:, 2:] * 2).unbind(dim=1)
        torch.testing.assert_close((widths * heights).sqrt(), torch.tensor(roots) * 1.0, rtol=0, atol=1)
        torch.testing.assert_close(heights / widths, torch.full((3,), 1.5), rtol=0, atol=0.15)
    generator = generator_of("ssd300", scale="light", image_size=256)
    assert generator.num_anchors_per_location() == [3, 3]


def test_anchors_that_cannot_be_dealt_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.anchors has 3 anchors.*2 levels.*multiple of 2"):
        light("faster_rcnn", anchors=FOUR[:3])
    with pytest.raises(ValueError, match=r"model\.anchors has 4 anchors.*5 levels.*model\.num_anchors=10"):
        on_shapes("retinanet", anchors=FOUR)
    for wrong in ([], [[1.0, 2.0, 3.0]], [[0.0, 4.0]], "kmeans"):
        with pytest.raises(ValueError, match=r"model\.anchors=.* must be a list of \[width, height\]"):
            dealt(wrong, levels=1)  # type: ignore[arg-type]


def test_fcos_has_no_anchors() -> None:
    with pytest.raises(ValueError, match=r"fcos has no anchors.*retinanet"):
        on_shapes("fcos", anchors=FOUR)
