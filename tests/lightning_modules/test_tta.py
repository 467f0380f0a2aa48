"""Test-time augmentation: which crops are seen, and that boxes and pixels come back where they were."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import ten_crop

from lightning_modules.detection import DetectionTask
from lightning_modules.models.detection.faster_rcnn import faster_rcnn
from lightning_modules.segmentation import SegmentationTask
from lightning_modules.test_time_augmentation import SCALES
from tests.lightning_modules import identities, pixels, styled, synthetic
from tests.lightning_modules import test_detection as boxes
from tests.lightning_modules.training import quiet_trainer

SIDE = 16


class Remembers(nn.Module):
    """Scores images by their mean colour, and keeps what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        scores: Tensor = self.head(images.mean(dim=(2, 3)))
        return scores


def classifier() -> Any:
    torch.manual_seed(0)
    return synthetic.task(model=Remembers()).eval()


def pictures(side: int, *, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


@torch.inference_mode()
def answered(task: Any, images: Any, name: str, *, mirrors: bool = True) -> Any:
    task.use_tta(name, mirrors=mirrors)
    return task.answer(images)


def test_ten_crops_are_the_corners_the_centre_and_their_mirror_images() -> None:
    task = classifier()
    side = task.tta_side("ten_crop")
    assert side == round(SIDE * 256 / 224) == 18
    images = pictures(side)
    scores = answered(task, images, "ten_crop")
    expected = [task.normalise(crop) for crop in ten_crop(images, [SIDE, SIDE])]
    seen = task.model.seen
    assert len(seen) == 10
    for crop in expected:
        assert any(torch.equal(crop, each) for each in seen)
    each = torch.stack([task.model.head(crop.mean(dim=(2, 3))).softmax(dim=1) for crop in expected])
    torch.testing.assert_close(scores.softmax(dim=1), each.mean(dim=0), rtol=0, atol=1e-6)


def test_without_mirror_images_five_crops_are_left() -> None:
    task = classifier()
    answered(task, pictures(18), "ten_crop", mirrors=False)
    assert len(task.model.seen) == 5
    with pytest.raises(ValueError, match=r"tta=flip: with data\.horizontal_flip=0 a mirrored image"):
        task.use_tta("flip", mirrors=False)


def test_five_scales_are_those_of_resnet_and_count_alike() -> None:
    task = classifier()
    side = task.tta_side("multi_scale")
    assert side == round(SIDE * 640 / 224) == 46
    answered(task, pictures(side), "multi_scale")
    # At the smallest scale all ten crops are the picture or its mirror image.
    assert len(task.model.seen) == 2 + 4 * 10
    assert {each.shape[-1] for each in task.model.seen} == {SIDE}
    assert sum(task.shares()[:2]) == pytest.approx(1 / len(SCALES))
    assert sum(task.shares()) == pytest.approx(1)


def test_pictures_smaller_than_the_crops_are_enlarged() -> None:
    task = classifier()
    answered(task, pictures(SIDE), "ten_crop")
    assert {each.shape[-1] for each in task.model.seen} == {SIDE}


@pytest.mark.parametrize("name", ["flip", "ten_crop", "multi_scale"])
def test_a_network_that_sees_one_colour_answers_as_without(name: str) -> None:
    task = classifier()
    side = task.tta_side(name) or SIDE
    plain = pictures(1).expand(-1, -1, side, side)
    found = answered(task, plain, name).softmax(dim=1)
    torch.testing.assert_close(found, task(plain).softmax(dim=1), rtol=0, atol=1e-5)


def test_a_network_that_knows_no_sides_answers_a_mirrored_image_alike() -> None:
    task, images = classifier(), pictures(SIDE)
    torch.testing.assert_close(answered(task, images, "flip"), task(images).log_softmax(dim=1))


def test_none_answers_as_ever_and_measures_are_of_all_views() -> None:
    task = synthetic.task().eval()
    images = pictures(SIDE)
    assert torch.equal(answered(task, images, "none"), task(images))
    (alone,) = quiet_trainer().test(task, synthetic.loader(size=12, batch_size=5), verbose=False)
    task.use_tta("flip")
    (both,) = quiet_trainer().test(task, synthetic.loader(size=12, batch_size=5), verbose=False)
    assert alone["test/loss"] != both["test/loss"]


@pytest.mark.parametrize(
    ("build", "name", "right"),
    [
        (synthetic.task, "flip_multi_scale", "none, flip, ten_crop, multi_scale"),
        (pixels.task, "ten_crop", "none, flip, multi_scale, flip_multi_scale"),
        (identities.task, "ten_crop", "none, flip"),
        (styled.task, "flip", "none"),
    ],
)
def test_what_a_task_does_not_have_is_named(build: Any, name: str, right: str) -> None:
    with pytest.raises(ValueError, match=rf"tta={name} is not one of {right} for this task"):
        build().use_tta(name)


# Pixels


def painted() -> SegmentationTask:
    return pixels.task(pixels.Painted()).eval()


@pytest.mark.parametrize("name", ["flip", "multi_scale", "flip_multi_scale"])
def test_pixels_come_back_to_their_place(name: str) -> None:
    task = painted()
    image = torch.zeros(1, 3, 40, 64, dtype=torch.uint8)
    image[..., 8:24, 8:24] = 127
    image[..., 24:40, 32:56] = 255
    plain, found = task.infer(image), answered(task, image, name)
    assert found.shape == plain.shape
    torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(1, 40, 64), rtol=0, atol=1e-4)
    same = found.argmax(dim=1) == plain.argmax(dim=1)
    if name == "flip":  # each pixel is known by its own colour
        torch.testing.assert_close(found, plain, rtol=0, atol=1e-5)
    assert float(same.float().mean()) > 0.97
    # Inside of the shapes nothing is blurred.
    assert bool(same[0, 11:21, 11:21].all()) and bool(same[0, 27:37, 35:53].all())


def test_pixels_are_fused_as_the_mean_of_their_probabilities() -> None:
    task = pixels.task(pixels.Sighted()).eval()
    image = pictures(32, count=1)
    with torch.inference_mode():
        expected = task.infer(image).exp() / 2 + task.infer(image.flip(-1)).flip(-1).exp() / 2
    torch.testing.assert_close(answered(task, image, "flip").exp(), expected, rtol=0, atol=1e-6)


def test_windows_and_views_go_together() -> None:
    task = pixels.task(pixels.Sighted(), window=16).eval()
    image = pictures(40, count=1)
    with torch.inference_mode():
        expected = task.infer(image).exp() / 2 + task.infer(image.flip(-1)).flip(-1).exp() / 2
    torch.testing.assert_close(answered(task, image, "flip").exp(), expected, rtol=0, atol=1e-6)


# Boxes


class FindsBright(nn.Module):
    """Finds the one bright rectangle of an image, exactly, at whatever size it is asked to work."""

    predicts_masks = True
    resizable = True

    def __init__(self) -> None:
        super().__init__()
        self.factors: list[float] = [1.0]

    def rescale(self, factor: float) -> None:
        self.factors.append(factor)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [self._found(image[0] > 0.5) for image in images]

    def _found(self, bright: Tensor) -> dict[str, Tensor]:
        rows, columns = (np.flatnonzero(bright.any(dim=side).numpy()) for side in (1, 0))
        box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        # What is left of the middle is an ant, the rest is a bee; the network is surer of small factors.
        return {
            "boxes": torch.tensor([box], dtype=torch.float32),
            "scores": torch.tensor([0.9 / self.factors[-1]]),
            "labels": torch.tensor([0]),
            "masks": bright[None],
        }


def finder(model: Any = None) -> DetectionTask:
    return boxes.task(model or FindsBright()).eval()


def bright(*, left: int, right: int) -> Tensor:
    image = torch.zeros(3, 40, 61, dtype=torch.uint8)
    image[:, 5:20, left:right] = 255
    return image


@pytest.mark.parametrize("name", ["flip", "flip_multi_scale"])
@pytest.mark.parametrize("fusion", ["wbf", "nms"])
def test_boxes_and_masks_come_back_to_their_place(name: str, fusion: str) -> None:
    task = finder()
    task.fusion = fusion
    images = [bright(left=3, right=17), bright(left=30, right=61)]
    found = answered(task, images, name)
    for one, image, box in zip(found, images, ([3, 5, 17, 20], [30, 5, 61, 20]), strict=True):
        assert one["boxes"].tolist() == [pytest.approx(box, abs=1e-4)]
        assert torch.equal(one["masks"][0], image[0] > 127)


def test_a_detector_works_at_each_scale_and_then_at_its_own() -> None:
    task = finder()
    answered(task, [bright(left=3, right=17)], "multi_scale")
    model: Any = task.model
    assert model.factors == [1.0, 0.75, 1.0, 1.0, 1.0, 1.25, 1.0]
    model.resizable = False
    with pytest.raises(ValueError, match=r"tta=multi_scale: this network is made for one size"):
        task.use_tta("multi_scale")
    task.use_tta("flip")


def test_a_true_detector_sees_other_sizes_and_maps_boxes_back() -> None:
    torch.manual_seed(0)
    model = faster_rcnn(num_classes=3, image_size=128, scale="light", score_threshold=0.0)
    seen: list[tuple[int, ...]] = []
    model.network.backbone.register_forward_pre_hook(  # type: ignore[union-attr]
        lambda _, given: seen.append(tuple(given[0].shape[-2:]))
    )
    task = finder(model)
    task.fusion = "nms"
    (found,) = answered(task, [pictures(64, count=1)[0]], "multi_scale")
    assert seen == [(96, 96), (128, 128), (160, 160)]
    assert float(found["boxes"].max()) <= 64


# Embeddings


def test_a_mirrored_face_is_a_second_part_of_the_embedding() -> None:
    learner = identities.task().eval()
    images = identities.collate(identities.MIXED[:4])["image"]
    found = answered(learner, images, "flip")
    assert found.shape == (4, 6) and len(learner.columns) == 6
    # Its mean colour is that of its mirror image.
    torch.testing.assert_close(torch.cdist(found, found), torch.cdist(learner(images), learner(images)))
