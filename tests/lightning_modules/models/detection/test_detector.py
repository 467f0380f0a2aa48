"""What every detector takes and gives, whatever network is inside."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from lightning_modules.models.detection.detector import Detector
from tests.lightning_modules.models.detection.builders import BUILDERS, light, pictures, targets

LOSSES = {
    "faster_rcnn": {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"},
    "mask_rcnn": {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask"},
    "retinanet": {"classification", "bbox_regression"},
    "fcos": {"classification", "bbox_regression", "bbox_ctrness"},
    "ssd300": {"classification", "bbox_regression"},
}


class Recorder(nn.Module):
    """Stands in for a network: remembers its targets and answers with planted detections."""

    def __init__(self, labels: list[int]) -> None:
        super().__init__()
        self.transform = GeneralizedRCNNTransform(64, 128, [0.0] * 3, [1.0] * 3)
        self.labels = torch.tensor(labels)
        self.seen: Any = None

    def forward(self, images: list[Tensor], targets: Any = None) -> Any:
        self.seen = targets
        if self.training:
            return {"loss": torch.tensor(1.0)}
        boxes = torch.arange(4.0 * len(self.labels)).reshape(-1, 4)
        scores = torch.linspace(1, 0, len(self.labels))
        return [{"boxes": boxes, "scores": scores, "labels": self.labels} for _ in images]


@pytest.mark.parametrize("first_label", [0, 1])
def test_labels_begin_at_zero_outside_and_where_the_network_wants_inside(first_label: int) -> None:
    network = Recorder([first_label, 2 + first_label])
    detector = Detector(network, first_label=first_label)
    detector(pictures(), targets())
    assert [seen["labels"].tolist() for seen in network.seen] == [[first_label, 2 + first_label]] * 2
    assert set(network.seen[0]) == {"boxes", "labels"}
    found = detector.eval()(pictures())
    assert [each["labels"].tolist() for each in found] == [[0, 2]] * 2


def test_the_label_of_the_background_is_no_answer() -> None:
    (found,) = Detector(Recorder([0, 1, 0, 3])).eval()(pictures()[:1])
    assert found["labels"].tolist() == [0, 2]
    assert found["boxes"][:, 0].tolist() == [4, 12]
    assert found["scores"].tolist() == pytest.approx([2 / 3, 0])


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_training_gives_the_losses_of_the_paper_and_a_gradient_everywhere(name: str) -> None:
    detector = light(name)
    losses = detector(pictures(), targets())
    assert set(losses) == LOSSES[name]
    assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())
    sum(losses.values()).backward()
    assert not [key for key, value in detector.named_parameters() if value.grad is None]


@pytest.mark.parametrize("empty", [(0,), (0, 1)])
@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_images_without_objects_are_trained_on(name: str, empty: tuple[int, ...]) -> None:
    losses = light(name)(pictures(), targets(empty=empty))
    total = sum(losses.values())
    assert torch.isfinite(total)
    total.backward()


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_answers_are_in_the_pixels_of_the_images_that_were_given(name: str) -> None:
    detector = light(name, score_threshold=0.001).eval()
    with torch.no_grad():
        found = detector(pictures())
    for image, each in zip(pictures(), found, strict=True):
        height, width = image.shape[1:]
        boxes, count = each["boxes"], len(each["boxes"])
        assert count > 0
        assert boxes[:, 0::2].max() <= width + 1e-3
        assert boxes[:, 1::2].max() <= height + 1e-3
        # Some box of an untrained network reaches the far side of the longer edge.
        assert boxes.max() > 0.8 * max(height, width)
        assert each["scores"].tolist() == sorted(each["scores"].tolist(), reverse=True)
        assert set(each["labels"].tolist()) <= {0, 1, 2}
        masks = each.get("masks")
        assert (masks is not None) == (name == "mask_rcnn")
        if masks is not None:
            assert masks.shape == (count, height, width)
            assert masks.dtype == torch.bool


def plant(detector: Detector, mask: Tensor | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the second stage find one object of class 1 in the middle of every image."""

    def found(features: Any, proposals: Any, shapes: list[tuple[int, int]], targets: Any = None) -> Any:
        answers = []
        for height, width in shapes:
            box = torch.tensor([[width / 4, height / 2, width / 2, height / 1]])
            answer = {"boxes": box, "scores": torch.tensor([0.9]), "labels": torch.tensor([2])}
            answers.append(answer | ({} if mask is None else {"masks": mask[None, None]}))
        return answers, {}

    monkeypatch.setattr(detector.network.roi_heads, "forward", found)


def test_boxes_of_a_mixed_batch_are_scaled_back_each_by_its_own_factor(monkeypatch: Any) -> None:
    detector = light("faster_rcnn").eval()
    plant(detector, None, monkeypatch)
    wide, high = detector(pictures())
    torch.testing.assert_close(wide["boxes"], torch.tensor([[20.0, 24.0, 40.0, 48.0]]), atol=0.01, rtol=0)
    torch.testing.assert_close(high["boxes"], torch.tensor([[18.0, 48.0, 36.0, 96.0]]), atol=0.01, rtol=0)
    assert wide["labels"].tolist() == high["labels"].tolist() == [1]


def test_masks_are_pasted_where_the_box_is(monkeypatch: Any) -> None:
    detector = light("mask_rcnn").eval()
    left_half = torch.zeros(28, 28)
    left_half[:, :14] = 1
    plant(detector, left_half, monkeypatch)
    (found,) = detector([torch.zeros(3, 64, 64)])
    expected = torch.zeros(64, 64, dtype=torch.bool)
    expected[32:64, 16:24] = True
    differing = (found["masks"][0] != expected).nonzero()
    assert found["masks"].shape == (1, 64, 64)
    # torchvision pastes into whole pixels, one more than the box at most; inside nothing differs.
    assert all(y == 31 or x in (15, 24) for y, x in differing.tolist())
    assert len(differing) <= 2 * 33 + 10


def test_saved_weights_give_the_same_detections(tmp_path: Path) -> None:
    first = light("mask_rcnn", score_threshold=0.001)
    first(pictures(), targets())  # moves the running statistics
    torch.save(first.state_dict(), tmp_path / "weights.pth")
    torch.manual_seed(1)
    second = BUILDERS["mask_rcnn"](num_classes=3, image_size=64, scale="light", score_threshold=0.001)
    second.load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True))
    with torch.no_grad():
        pairs = list(zip(first.eval()(pictures()), second.eval()(pictures()), strict=True))
    for expected, found in pairs:
        assert len(expected["boxes"])
        assert all(torch.equal(expected[key], found[key]) for key in expected)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_size_that_the_network_sees_can_change(name: str, monkeypatch: Any) -> None:
    detector = light(name).eval()
    seen: list[tuple[int, ...]] = []
    detector.network.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[2:]))
    square = [torch.zeros(3, 50, 50)]
    for factor in (1.0, 1.4, 0.1, 1.0):
        detector.rescale(factor)
        detector(square)
    assert seen == [(64, 64), (96, 96), (32, 32), (64, 64)]
    with pytest.raises(ValueError, match=r"must be above 0"):
        detector.rescale(0)


def test_a_size_that_is_no_multiple_of_32_comes_back() -> None:
    detector = light("faster_rcnn", image_size=100)
    transform = detector.network.transform
    before = (transform.min_size, transform.max_size)
    detector.rescale(1.3)
    assert (transform.min_size, transform.max_size) == ((128,), 224)
    detector.rescale(1.0)
    assert (transform.min_size, transform.max_size) == before == ((100,), 167)
