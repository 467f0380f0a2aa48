"""What verifiers are trained with: losses of pairs against slow loops, and gradients on every batch."""

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.models.verification.verifier import Pairs, every_pair
from tests.lightning_modules.models.verification.builders import VERIFIERS, WIDTH, built, images, small

OF_PAIRS = ("siamese_contrastive", "siamese_logistic")
LABELS = {
    "usual": [0, 0, 0, 1, 1, 2, 3],
    "no two alike": [0, 1, 2, 3],
    "one identity": [2, 2, 2],
    "one image": [1],
    "none": [],
}
LISTED = {
    "usual": [(0, 1, True), (2, 3, False), (0, 6, False), (4, 3, True), (5, 0, False)],
    "no two alike": [(0, 1, False), (1, 3, False)],
    "one identity": [(0, 2, True)],
    "one image": [],
    "none": [],
}
Row = tuple[int, int, bool]


def listed(rows: list[Row]) -> Pairs:
    columns = torch.tensor(rows, dtype=torch.long).reshape(-1, 3)
    return Pairs(first=columns[:, 0], second=columns[:, 1], same=columns[:, 2].bool())


def example(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    found = torch.randn(count, WIDTH, dtype=torch.float64, generator=generator)
    return functional.normalize(found, dim=1).requires_grad_()


def slow_loss(name: str, distance: float, same: bool) -> float:
    """Of one pair: Hadsell's equation 4 with a margin of 1, or the cross-entropy of sigmoid(-distance)."""
    if name == "siamese_contrastive":
        return distance**2 / 2 if same else max(0.0, 1.0 - distance) ** 2 / 2
    probability = 1 / (1 + math.exp(distance))
    return -math.log(probability if same else 1 - probability)


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


@pytest.mark.parametrize("case", LABELS)
@pytest.mark.parametrize("name", OF_PAIRS)
def test_losses_of_pairs_are_slow_loops(name: str, case: str) -> None:
    verifier, labels = small(name).double(), LABELS[case]
    embeddings = example(len(labels))

    def slow(rows: list[Row], kind: bool | None) -> float:
        """Mean loss of the pairs of a kind."""
        chosen = [row for row in rows if kind is None or row[2] is kind]
        with torch.no_grad():
            apart = [verifier.distances(embeddings[[a]], embeddings[[b]]).item() for a, b, _ in chosen]
        return mean([slow_loss(name, d, same) for d, (_, _, same) in zip(apart, chosen, strict=True)])

    every = [(a, b, labels[a] == labels[b]) for a, b in combinations(range(len(labels)), 2)]
    identities = torch.tensor(labels, dtype=torch.long)
    found = verifier.training_losses(embeddings, identities, listed(LISTED[case]))
    assert set(found) == {"loss"}
    assert found["loss"].item() == pytest.approx(slow(LISTED[case], None), abs=1e-12)
    found = verifier.training_losses(embeddings, identities, None)
    assert found["loss"].item() == pytest.approx((slow(every, True) + slow(every, False)) / 2, abs=1e-12)


def test_every_two_images_are_a_pair_once() -> None:
    first, second, same = every_pair(torch.tensor([5, 7, 5]))
    rows = zip(first.tolist(), second.tolist(), same.tolist(), strict=True)
    assert list(rows) == [(0, 1, False), (0, 2, True), (1, 2, False)]


@pytest.mark.parametrize("name", [name for name in VERIFIERS if name not in OF_PAIRS])
def test_the_other_losses_choose_for_themselves(name: str) -> None:
    verifier, labels = small(name), torch.tensor(LABELS["usual"])
    with torch.no_grad():
        embeddings = example(len(labels)).float()
        alone, given = (
            verifier.training_losses(embeddings, labels, pairs) for pairs in (None, listed(LISTED["usual"]))
        )
    assert alone == given
    expected = {"loss", "active_triplets", "mined_triplets"} if name == "triplet" else {"loss"}
    assert set(alone) == expected


@pytest.mark.parametrize("paired", [False, True], ids=["every pair", "listed pairs"])
@pytest.mark.parametrize("case", [case for case in LABELS if case != "none"])
@pytest.mark.parametrize("name", VERIFIERS)
def test_every_parameter_has_a_gradient_whatever_the_batch(name: str, case: str, paired: bool) -> None:
    """Processes that train together wait for each other's gradients; one without would stop them all."""
    verifier, labels = small(name), torch.tensor(LABELS[case])
    pairs = listed(LISTED[case]) if paired else None
    loss = verifier.training_losses(verifier(images(len(labels))), labels, pairs)["loss"]
    loss.backward()  # type: ignore[no-untyped-call]
    for key, parameter in verifier.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", VERIFIERS)
def test_identical_images_have_gradients_that_are_numbers(name: str) -> None:
    verifier, labels = small(name), torch.tensor([0, 0, 1, 1])
    loss = verifier.training_losses(verifier(images(1).expand(4, -1, -1, -1)), labels)["loss"]
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert all(torch.isfinite(value.grad).all() for value in verifier.parameters())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", VERIFIERS)
def test_each_learns_a_batch(name: str) -> None:
    """Afterwards every image is nearer to the other one of its identity than to any of another."""
    verifier = built(name, "model.embedding_size=16").train()
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(12, 1, 16, 16, generator=generator)
    labels = torch.arange(6).repeat(2)
    optimizer = torch.optim.AdamW(verifier.parameters(), lr=3e-3)
    for _ in range(30):
        loss = verifier.training_losses(verifier(pictures), labels)["loss"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        found = verifier(pictures)
        distances = verifier.distances(found, found).fill_diagonal_(math.inf)
    assert (labels[distances.argmin(dim=1)] == labels).all()
