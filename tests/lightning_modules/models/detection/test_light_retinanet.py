"""The classification loss of the light RetinaNet."""

import torch
from torch.nn import functional

from lightning_modules.models.detection.light_retinanet import ALPHA, GAMMA, light_head


def focal(score: float, *, wanted: bool) -> float:
    """The loss of one score, by the paper's formula."""
    probability = torch.sigmoid(torch.tensor(score if wanted else -score)).item()
    weight = ALPHA if wanted else 1 - ALPHA
    return -weight * (1 - probability) ** GAMMA * float(torch.tensor(probability).log())


def test_every_anchor_counts_but_the_doubtful_ones() -> None:
    head = light_head(channels=32, num_anchors=1, outputs=2).classification_head
    scores = torch.tensor([[[0.5, -1.0], [2.0, 0.0], [3.0, 3.0], [-2.0, 1.5]]])
    matched = torch.tensor([0, -1, -2, 0])
    loss = head.compute_loss([{"labels": torch.tensor([1])}], {"cls_logits": scores}, [matched])
    first = focal(0.5, wanted=False) + focal(-1.0, wanted=True)
    second = focal(2.0, wanted=False) + focal(0.0, wanted=False)
    fourth = focal(-2.0, wanted=False) + focal(1.5, wanted=True)
    torch.testing.assert_close(loss, torch.tensor((first + second + fourth) / 2), rtol=1e-5, atol=1e-6)


def test_images_without_objects_count_as_background_and_as_one_of_the_batch() -> None:
    head = light_head(channels=32, num_anchors=1, outputs=2).classification_head
    scores = torch.zeros(2, 1, 2)
    targets = [{"labels": torch.zeros(0, dtype=torch.int64)}, {"labels": torch.tensor([0])}]
    loss = head.compute_loss(targets, {"cls_logits": scores}, [torch.tensor([-1]), torch.tensor([0])])
    expected = (2 * focal(0.0, wanted=False) + focal(0.0, wanted=True) + focal(0.0, wanted=False)) / 2
    torch.testing.assert_close(loss, torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_the_head_begins_with_lively_convolutions_and_rare_objects() -> None:
    torch.manual_seed(0)
    head = light_head(channels=64, num_anchors=3, outputs=11)
    maps = [functional.relu(torch.randn(1, 64, 8, 8))]
    found = head(maps)
    assert found["cls_logits"].shape == (1, 192, 11)
    assert found["bbox_regression"].shape == (1, 192, 4)
    assert 0.003 < found["cls_logits"].sigmoid().mean() < 0.05
    assert head.classification_head.conv(maps[0]).std() > 0.3
