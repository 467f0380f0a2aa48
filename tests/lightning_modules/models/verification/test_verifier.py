"""What every verifier takes and gives: embeddings, distances, names of parameters."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.models.verification.verifier import Verifier
from lightning_modules.parameter_groups import parameter_groups
from tests.lightning_modules.models.verification.builders import VERIFIERS, WIDTH, images, small

OF_LENGTH_1 = ("arcface", "siamese_contrastive", "supcon", "triplet")


def embeddings(count: int, *, seed: int) -> Tensor:
    return torch.randn(count, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", VERIFIERS)
def test_embeddings_are_what_the_network_gives_and_of_length_1_where_it_is_asked_for(name: str) -> None:
    verifier = small(name)
    found, raw = verifier(images(7)), verifier.network(images(7))
    lengths = raw.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found, raw / lengths if name in OF_LENGTH_1 else raw)
    assert verifier.embedding_size == WIDTH and found.dtype == torch.float32


@pytest.mark.parametrize("name", ["triplet", "siamese_contrastive", "siamese_logistic"])
def test_the_length_is_a_choice(name: str) -> None:
    for normalise in (True, False):
        lengths = small(name, normalise=normalise)(images(7)).norm(dim=1)
        assert torch.allclose(lengths, torch.ones(7)) == normalise


@pytest.mark.parametrize("name", VERIFIERS)
def test_mixed_precision_ends_behind_the_network(name: str) -> None:
    verifier, labels = small(name).requires_grad_(False), torch.tensor([0, 0, 1, 1, 2, 2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        halved = verifier.network(images(6))
        found = verifier(images(6))
        mixed = verifier.training_losses(found, labels)
    assert halved.dtype == torch.bfloat16 and found.dtype == torch.float32
    if name in OF_LENGTH_1:  # of 32 bits, not of 16
        assert float((found.norm(dim=1) - 1).abs().max()) < 1e-6
    plain = verifier.training_losses(found, labels)
    assert {key: float(value) for key, value in mixed.items()} == {
        key: float(value) for key, value in plain.items()
    }
    halves = found.bfloat16()
    widened = verifier.training_losses(halves, labels)["loss"]
    assert widened.dtype == plain["loss"].dtype == torch.float32
    assert float(widened) == float(verifier.training_losses(halves.float(), labels)["loss"])


def slow_distance(verifier: Verifier, a: list[float], b: list[float]) -> float:
    if verifier.is_euclidean:
        return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))
    weights, bias = (verifier.get_parameter(key).tolist() for key in ("weights", "bias"))
    logit: float = sum(w * abs(x - y) for w, x, y in zip(weights, a, b, strict=True)) + bias
    return -logit


@pytest.mark.parametrize("name", VERIFIERS)
def test_distances_are_slow_loops(name: str) -> None:
    verifier = small(name).double()
    a, b = embeddings(40, seed=1), embeddings(30, seed=2)
    rows = [[slow_distance(verifier, x, y) for y in b.tolist()] for x in a.tolist()]
    expected = torch.tensor(rows, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(verifier.distances(a, b), expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(
            verifier.pair_distances(a[:30], b), expected[:30].diagonal(), rtol=0, atol=1e-12
        )
    assert verifier.is_euclidean == (name != "siamese_logistic")


@pytest.mark.parametrize("name", VERIFIERS)
def test_equal_embeddings_are_exactly_as_near_as_can_be(name: str) -> None:
    verifier = small(name).requires_grad_(False)
    found = verifier(images(60))
    nearest = 0.0 if verifier.is_euclidean else -verifier.get_parameter("bias").item()
    assert verifier.distances(found, found).diagonal().tolist() == [nearest] * 60
    assert verifier.pair_distances(found, found).tolist() == [nearest] * 60
    if name == "triplet":  # what a matrix product would say
        fast = torch.cdist(found, found, compute_mode="use_mm_for_euclid_dist")
        assert float(fast.diagonal().max()) > 1e-4


@pytest.mark.parametrize("name", VERIFIERS)
def test_few_embeddings_and_none_have_distances(name: str) -> None:
    verifier, some = small(name), torch.ones(3, WIDTH)
    assert verifier.distances(some[:0], some).shape == (0, 3)
    assert verifier.distances(some[:1], some).shape == (1, 3)
    assert verifier.pair_distances(some[:0], some[:0]).shape == (0,)


def test_nobody_keeps_all_differences_of_all_features_at_once() -> None:
    verifier = small("siamese_logistic")
    many = torch.randn(2000, WIDTH)
    with torch.no_grad(), torch.profiler.profile(profile_memory=True) as profile:
        verifier.distances(many, many)
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert 2000 * 2000 * 4 <= largest < 2 * 2000 * 2000 * 4  # (N, M), not (N, M, D)


@pytest.mark.parametrize("name", VERIFIERS)
def test_the_head_is_the_embedding_layer_and_what_the_loss_learns(name: str) -> None:
    learnt = {"arcface": {"loss.W"}, "siamese_logistic": {"weights", "bias"}}.get(name, set())
    verifier = small(name)
    verifier.network.insert(1, nn.Linear(4, 4))  # type: ignore[operator]
    head = {"network.2.weight", "network.2.bias"} | learnt
    assert verifier.head_parameters() == head
    assert set(verifier.state_dict()) == head | {"network.1.weight", "network.1.bias"}
    groups = {group["name"]: group["params"] for group in parameter_groups(verifier, head=head)}
    counted = sum(len(each) for group, each in groups.items() if group.startswith("head"))
    assert counted == len(head)


def test_what_a_network_of_timm_wants_undecayed_stays_undecayed() -> None:
    verifier = small("triplet")
    assert verifier.no_weight_decay() == set()
    verifier.network.no_weight_decay = lambda: {"1.weight"}  # type: ignore[assignment]
    assert verifier.no_weight_decay() == {"network.1.weight"}
    assert {group["name"] for group in parameter_groups(verifier)} == {"body_no_decay"}


class Doubled(nn.Module):
    """Hides its width: gives twice what its last layer gives."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.last = nn.Linear(4, width)

    def forward(self, pictures: Tensor) -> Tensor:
        found = self.last(pictures.flatten(1))
        return torch.cat([found, found], dim=1)


@pytest.mark.parametrize(
    "network",
    [nn.Linear(4, 10), nn.Conv2d(1, 10, 2), nn.Sequential(nn.Linear(4, WIDTH), nn.Linear(WIDTH, 10))],
)
def test_a_network_of_another_width_is_refused_when_it_is_built(network: nn.Module) -> None:
    message = (
        r"gives 10 numbers for an image, but model\.embedding_size=5; leave model\.network\.num_classes at "
        r"\$\{model\.embedding_size\}"
    )
    with pytest.raises(ValueError, match=message):
        Verifier(network, embedding_size=WIDTH, normalise=True)


def test_a_network_that_hides_its_width_is_refused_at_the_first_batch() -> None:
    verifier = Verifier(Doubled(WIDTH), embedding_size=WIDTH, normalise=True)
    with pytest.raises(ValueError, match=r"gives 10 numbers .* model\.embedding_size=5"):
        verifier(images(3))


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        *((name, {"embedding_size": 0}, r"model\.embedding_size=0 must be at least 1") for name in VERIFIERS),
        ("triplet", {"margin": -0.2}, r"model\.margin=-0\.2 must be above 0"),
        ("triplet", {"mining": "easy"}, r"model\.mining=easy is not one of all, hard, semi_hard"),
        ("siamese_contrastive", {"margin": 0}, r"model\.margin=0 must be above 0"),
        ("triplet", {"margin": 4.1}, r"model\.margin=4\.1 with model\.normalise=true: .* at most 4; "),
        (
            "siamese_contrastive",
            {"margin": 2.1},
            r"model\.margin=2\.1 with model\.normalise=true: .* 2; ",
        ),
        ("arcface", {"margin": 0}, r"model\.margin=0 must be above 0"),
        ("arcface", {"scale": -1}, r"model\.scale=-1 must be above 0"),
        ("arcface", {"num_identities": 1}, r"model\.num_identities=1, "),
        ("supcon", {"temperature": 0}, r"model\.temperature=0 must be above 0"),
    ],
)
def test_impossible_arguments_are_named(name: str, option: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        small(name, **option)


@pytest.mark.parametrize(("name", "farthest"), [("triplet", 4.0), ("siamese_contrastive", 2.0)])
def test_a_margin_may_be_as_large_as_embeddings_are_apart(name: str, farthest: float) -> None:
    small(name, normalise=True, margin=farthest)
    small(name, normalise=False, margin=farthest + 1)
