"""Losses of pixels against slow loops, also where pixels are ignored and classes absent."""

import math

import pytest
import torch
from segmentation_models_pytorch.losses import FocalLoss, LovaszLoss
from torch import Tensor

from lightning_modules.losses.segmentation import LOSSES, PixelLosses

IGNORED = 255
CLASSES = 4
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 3.0])


def example(case: str) -> tuple[Tensor, Tensor]:
    """Scores and classes of two pictures of 5 × 6 pixels."""
    generator = torch.Generator().manual_seed(1)
    scores = 3 * torch.randn(2, CLASSES, 5, 6, generator=generator)
    truth = torch.randint(CLASSES, (2, 5, 6), generator=generator)
    if case in ("ignored", "absent"):
        truth[torch.rand(2, 5, 6, generator=generator) < 0.3] = IGNORED
    if case == "absent":
        truth[(truth == 1) | (truth == 3)] = 0
    if case == "one image ignored":
        truth[1] = IGNORED
    if case == "one pixel":
        truth[:] = IGNORED
        truth[1, 2, 3] = 2
    return scores, truth


CASES = ("all count", "ignored", "absent", "one image ignored", "one pixel")


def pixels(scores: Tensor, truth: Tensor) -> list[tuple[list[float], int]]:
    """Scores and class of each counted pixel."""
    rows = scores.movedim(1, -1).reshape(-1, CLASSES).double().tolist()
    return [
        (row, label) for row, label in zip(rows, truth.flatten().tolist(), strict=True) if label != IGNORED
    ]


def softmax(row: list[float]) -> list[float]:
    exponentials = [math.exp(score - max(row)) for score in row]
    return [value / sum(exponentials) for value in exponentials]


def slow_cross_entropy(scores: Tensor, truth: Tensor, weights: list[float]) -> float:
    counted = pixels(scores, truth)
    total = sum(-weights[label] * math.log(softmax(row)[label]) for row, label in counted)
    return total / sum(weights[label] for _, label in counted)


def slow_hard_pixels(scores: Tensor, truth: Tensor, weights: list[float]) -> float:
    counted = sorted((softmax(row)[label], label) for row, label in pixels(scores, truth))
    least = math.ceil(len(counted) / 16)
    kept = [pair for place, pair in enumerate(counted) if place < least or pair[0] < 0.7]
    return sum(-weights[label] * math.log(p) for p, label in kept) / sum(weights[label] for _, label in kept)


def slow_dice(scores: Tensor, truth: Tensor, weights: list[float]) -> float:
    """Mean over all classes, where those of no pixel count nothing."""
    counted = [(softmax(row), label) for row, label in pixels(scores, truth)]
    losses = []
    for c in range(CLASSES):
        size = sum(label == c for _, label in counted)
        shared = sum(row[c] for row, label in counted if label == c)
        losses.append(1 - 2 * shared / (sum(row[c] for row, _ in counted) + size) if size else 0.0)
    return sum(losses) / CLASSES


def slow_focal(scores: Tensor, truth: Tensor, weights: list[float]) -> float:
    """Each class against the rest, γ = 2."""
    losses = []
    for row, label in pixels(scores, truth):
        for c in range(CLASSES):
            p = 1 / (1 + math.exp(-row[c]))
            of_the_truth = p if label == c else 1 - p
            losses.append(-((1 - of_the_truth) ** 2) * math.log(of_the_truth))
    return sum(losses) / len(losses)


def slow_lovasz(scores: Tensor, truth: Tensor, weights: list[float]) -> float:
    """Each error times how much the Jaccard loss grows when its pixel joins the wrong ones (Alg. 1)."""
    counted = [(softmax(row), label) for row, label in pixels(scores, truth)]
    losses = []
    for c in sorted({label for _, label in counted}):
        errors = sorted(((abs((label == c) - row[c]), label == c) for row, label in counted), reverse=True)
        of_class = sum(inside for _, inside in errors)
        total, before, missed, made_up = 0.0, 0.0, 0, 0
        for error, inside in errors:
            missed, made_up = missed + inside, made_up + (not inside)
            jaccard = 1 - (of_class - missed) / (of_class + made_up)
            total, before = total + error * (jaccard - before), jaccard
        losses.append(total)
    return sum(losses) / len(losses)


SLOW = {
    "cross_entropy": slow_cross_entropy,
    "dice": slow_dice,
    "focal": slow_focal,
    "lovasz": slow_lovasz,
    "hard_pixels": slow_hard_pixels,
}


def losses(*, weights: dict[str, float] | None = None, class_weights: Tensor | None = None) -> PixelLosses:
    return PixelLosses(weights or dict.fromkeys(LOSSES, 1.0), ignored=IGNORED, class_weights=class_weights)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("class_weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_each_loss_is_its_slow_loop(name: str, case: str, class_weights: Tensor | None) -> None:
    scores, truth = example(case)
    used = [1.0] * CLASSES if class_weights is None else class_weights.tolist()
    found = losses(class_weights=class_weights)(scores, truth)[name]
    assert float(found) == pytest.approx(SLOW[name](scores, truth, used), abs=1e-5)


def test_the_slow_loops_tell_the_losses_apart() -> None:
    scores, truth = example("ignored")
    values = [slow(scores, truth, [1.0] * CLASSES) for slow in SLOW.values()]
    assert len({round(value, 3) for value in values}) == len(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_neither_count_nor_learn(name: str) -> None:
    scores, truth = example("ignored")
    ignored = (truth == IGNORED)[:, None].expand_as(scores)
    scores.requires_grad_()
    value = losses()(scores, truth)[name]
    value.backward()
    assert scores.grad is not None
    assert not scores.grad[ignored].any() and scores.grad[~ignored].any()
    others = scores.detach().where(~ignored, torch.tensor(50.0))
    assert float(losses()(others, truth)[name]) == pytest.approx(float(value.detach()), abs=1e-6)


@pytest.mark.parametrize("class_weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_a_batch_without_a_counted_pixel_costs_nothing_and_teaches_nothing(
    class_weights: Tensor | None,
) -> None:
    scores, truth = example("ignored")[0].requires_grad_(), torch.full((2, 5, 6), IGNORED)
    found = losses(class_weights=class_weights)
    values = found(scores, truth)
    found.total(values).backward()  # type: ignore[no-untyped-call]
    assert {name: value.shape for name, value in values.items()} == dict.fromkeys(LOSSES, torch.Size())
    assert [float(value.detach()) for value in values.values()] == [0.0] * len(LOSSES)
    assert scores.grad is not None and not scores.grad.any()


def test_what_the_library_makes_of_such_a_batch_still_needs_the_correction() -> None:
    scores, truth = example("ignored")[0], torch.full((2, 5, 6), IGNORED)
    assert torch.isnan(FocalLoss("multiclass", ignore_index=IGNORED)(scores, truth))
    assert LovaszLoss("multiclass", ignore_index=IGNORED)(scores, truth).shape == (0, CLASSES)


def test_pixels_of_classes_that_weigh_nothing_count_nothing() -> None:
    scores, _ = example("all count")
    only_weightless = torch.ones(2, 5, 6, dtype=torch.long)
    values = losses(class_weights=torch.tensor([1.0, 0.0, 1.0, 1.0]))(scores, only_weightless)
    assert float(values["cross_entropy"]) == 0.0
    assert float(values["hard_pixels"]) == 0.0


def test_easy_pixels_are_kept_up_to_the_least_share() -> None:
    scores = torch.zeros(1, 2, 4, 8)
    scores[:, 0] = torch.arange(32).view(4, 8) / 10 + 2  # all surer than 0.7, the first least
    truth = torch.zeros(1, 4, 8, dtype=torch.long)
    found = losses(weights={"hard_pixels": 1.0})(scores, truth)["hard_pixels"]
    two = [-math.log(1 / (1 + math.exp(-score))) for score in (2.0, 2.1)]
    assert float(found) == pytest.approx(sum(two) / 2, abs=1e-6)


def test_the_sum_is_weighted_and_what_weighs_nothing_is_left_out() -> None:
    scores, truth = example("ignored")
    found = losses(weights={"dice": 0.5, "lovasz": 2.0, "focal": 0.0})
    values = found(scores, truth)
    assert set(values) == {"dice", "lovasz"}
    expected = 0.5 * float(values["dice"]) + 2 * float(values["lovasz"])
    assert float(found.total(values)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_mixed_precision_changes_nothing_but_the_scores(name: str) -> None:
    scores, truth = example("ignored")
    halved = scores.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = losses()(halved, truth)[name]
    assert mixed.dtype == torch.float32
    assert float(mixed) == float(losses()(halved.float(), truth)[name])


def test_nothing_inside_a_loss_is_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def look(scores: Tensor, truth: Tensor, **_: object) -> Tensor:
        seen.append((torch.is_autocast_enabled("cpu"), scores.dtype))
        return scores.sum()

    monkeypatch.setattr("lightning_modules.losses.segmentation.cross_entropy", look)
    scores, truth = example("ignored")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses(weights={"cross_entropy": 1.0})(scores.bfloat16(), truth)
    assert seen == [(False, torch.float32)]


@pytest.mark.parametrize("name", LOSSES)
def test_very_sure_scores_stay_finite(name: str) -> None:
    scores, truth = example("absent")
    scores = (1e4 * scores).requires_grad_()
    value = losses()(scores, truth)[name]
    value.backward()
    assert scores.grad is not None
    assert torch.isfinite(value) and torch.isfinite(scores.grad).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"crossentropy": 1.0}, r"task\.losses: crossentropy is not one of .*; did you mean cross_entropy\?"),
        ({"lovaz": 1.0}, r"did you mean lovasz\?"),
        ({"cross_entropy": 1.0, "hinge": 0.0}, r"task\.losses: hinge is not one of [\w, ]+$"),
        ({"dice": -0.5}, r"task\.losses\.dice=-0\.5 must be at least 0"),
        ({"dice": math.nan}, r"task\.losses\.dice=nan must be at least 0"),
        ({"dice": 0.0, "focal": 0.0}, r"task\.losses=.*: one of them must weigh more than 0"),
        ({}, r"one of them must weigh more than 0"),
    ],
)
def test_impossible_weights_are_named(weights: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PixelLosses(weights, ignored=IGNORED, class_weights=None)
