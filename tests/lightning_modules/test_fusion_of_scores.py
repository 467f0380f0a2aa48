"""Scores of several networks as one, against slow loops, and fitted weights against scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from lightning_modules.fusion_of_scores import TIE_BREAKER, fitted_weights, fused_scores

GENERATOR = torch.Generator().manual_seed(0)
MEMBERS = [3 * torch.randn(5, 4, generator=GENERATOR) for _ in range(3)]
WEIGHTS = [0.5, 0.2, 0.3]


def probabilities(row: list[float]) -> list[float]:
    powers = [math.exp(value) for value in row]
    return [power / sum(powers) for power in powers]


def slow(fusion: str, image: int) -> list[float]:
    """The probabilities of all together for one image."""
    rows = [member[image].tolist() for member in MEMBERS]
    weighted = list(zip(rows, WEIGHTS, strict=True))
    mean = [sum(weight * probabilities(row)[c] for row, weight in weighted) for c in range(4)]
    if fusion == "mean_probability":
        return mean
    if fusion == "mean_logit":
        return probabilities([sum(weight * row[c] for row, weight in weighted) for c in range(4)])
    votes = [sum(weight * (max(row) == row[c]) for row, weight in weighted) for c in range(4)]
    return [(1 - TIE_BREAKER) * votes[c] + TIE_BREAKER * mean[c] for c in range(4)]


@pytest.mark.parametrize("fusion", ["mean_probability", "mean_logit", "majority"])
def test_probabilities_are_those_of_a_slow_loop(fusion: str) -> None:
    found = fused_scores(iter(MEMBERS), weights=WEIGHTS, fusion=fusion).softmax(dim=1)
    for image in range(5):
        assert found[image].tolist() == pytest.approx(slow(fusion, image), abs=1e-6)


@pytest.mark.parametrize("fusion", ["mean_probability", "mean_logit"])
def test_equal_members_say_what_each_says(fusion: str) -> None:
    found = fused_scores([MEMBERS[0]] * 3, weights=[1 / 3] * 3, fusion=fusion)
    torch.testing.assert_close(found.softmax(dim=1), MEMBERS[0].softmax(dim=1), rtol=0, atol=1e-6)


def test_pixels_are_fused_like_images() -> None:
    maps = [torch.randn(2, 3, 4, 5, generator=GENERATOR) for _ in range(2)]
    found = fused_scores(maps, weights=[0.25, 0.75], fusion="mean_probability").exp()
    expected = 0.25 * maps[0].softmax(dim=1) + 0.75 * maps[1].softmax(dim=1)
    torch.testing.assert_close(found, expected)


def test_equally_many_votes_are_decided_by_certainty() -> None:
    certain, doubtful = torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.5, 0.0]])
    for order in ([certain, doubtful], [doubtful, certain]):
        found = fused_scores(order, weights=[0.5, 0.5], fusion="majority").softmax(dim=1)
        assert int(found.argmax()) == 0
        assert float(found[0, 1]) > 0.49


@pytest.mark.parametrize("fusion", ["mean_probability", "majority"])
def test_losses_stay_finite_where_a_probability_is_rounded_to_nothing(fusion: str) -> None:
    sure = torch.tensor([[500.0, 0.0]])
    found = fused_scores([sure, sure], weights=[0.5, 0.5], fusion=fusion)
    assert bool(found.isfinite().all())
    if fusion == "mean_probability":
        assert float(found[0, 1]) == pytest.approx(-500.0)


def test_a_weight_of_0_leaves_a_member_out() -> None:
    found = fused_scores(MEMBERS, weights=[0.0, 1.0, 0.0], fusion="mean_probability")
    torch.testing.assert_close(found, MEMBERS[1].log_softmax(dim=1))


def of_truth(*, images: int, members: int) -> list[Tensor]:
    """Members that are right about different images, the first more often."""
    generator = torch.Generator().manual_seed(3)
    return [torch.rand(images, generator=generator) ** (1 + member) for member in range(members)]


def test_fitted_weights_are_those_of_a_general_solver() -> None:
    each = of_truth(images=200, members=3)
    table = torch.stack(each).double().numpy()
    solved = minimize(
        lambda weights: -np.log(np.maximum(weights @ table, 1e-300)).mean(),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        tol=1e-12,
    )
    found = fitted_weights(each)
    assert found == pytest.approx(solved.x.tolist(), abs=2e-3)
    assert sum(found) == pytest.approx(1)
    assert -np.log(np.array(found) @ table).mean() <= solved.fun + 1e-8


def test_a_member_that_only_makes_it_worse_gets_no_weight() -> None:
    good = torch.full((50,), 0.9)
    assert fitted_weights([good, good / 2]) == pytest.approx([1.0, 0.0], abs=1e-6)
