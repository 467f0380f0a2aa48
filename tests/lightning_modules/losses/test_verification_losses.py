"""Losses of embeddings against slow loops, also where a batch has nothing to compare."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from pytorch_metric_learning.losses import ContrastiveLoss
from torch import Tensor

from lightning_modules.losses.verification import (
    MININGS,
    Mining,
    SquaredDistances,
    TripletLoss,
    additive_angular_margin,
    mean_of_pairs,
    squared_hinge,
    supervised_contrastive,
)

LABELS = {
    "usual": [0, 0, 0, 1, 1, 1, 2, 2, 3, 4],
    "no two alike": [0, 1, 2, 3, 4, 5],
    "one identity": [2, 2, 2, 2],
    "one image": [1],
    "identical": [0, 0, 1, 1],
}
NOTHING_TO_COMPARE = ("no two alike", "one identity", "one image")
IDENTITIES = 6
MARGIN = 0.2
Triplet = tuple[int, int, int]


def example(case: str) -> tuple[Tensor, Tensor]:
    """Embeddings of length 1, somewhat sorted by identity, and identities."""
    generator = torch.Generator().manual_seed(2)
    labels = torch.tensor(LABELS[case])
    centres = torch.randn(IDENTITIES, 5, generator=generator, dtype=torch.float64)
    noise = torch.randn(len(labels), 5, generator=generator, dtype=torch.float64)
    embeddings = torch.nn.functional.normalize(centres[labels] + 0.9 * noise, dim=1)
    if case == "identical":
        embeddings = embeddings[:1].repeat(len(labels), 1)
    return embeddings, labels


def squared(a: list[float], b: list[float]) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def every_triplet(labels: list[int]) -> Iterator[Triplet]:
    places = range(len(labels))
    for a in places:
        for p in places:
            for n in places:
                if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
                    yield a, p, n


def slow_mining(rows: list[list[float]], labels: list[int], mining: str) -> list[Triplet]:
    """The triplets that a kind of mining picks, by looking at each."""
    found = list(every_triplet(labels))
    if mining == "all":
        return found
    if mining == "semi_hard":
        return [
            (a, p, n)
            for a, p, n in found
            if squared(rows[a], rows[p]) < squared(rows[a], rows[n]) < squared(rows[a], rows[p]) + MARGIN
        ]
    hardest = []
    for anchor in sorted({a for a, _, _ in found}):
        positives = {p for a, p, _ in found if a == anchor}
        negatives = {n for a, _, n in found if a == anchor}
        farthest = max(positives, key=lambda p: squared(rows[anchor], rows[p]))
        nearest = min(negatives, key=lambda n: squared(rows[anchor], rows[n]))
        hardest.append((anchor, farthest, nearest))
    return hardest


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("case", LABELS)
def test_the_triplet_loss_and_its_shares_are_slow_loops(case: str, mining: Mining) -> None:
    embeddings, labels = example(case)
    rows = embeddings.tolist()
    mined = slow_mining(rows, labels.tolist(), mining)
    violations = [squared(rows[a], rows[p]) - squared(rows[a], rows[n]) + MARGIN for a, p, n in mined]
    active = [value for value in violations if value > 0]
    possible = list(every_triplet(labels.tolist()))

    found = TripletLoss(margin=MARGIN, mining=mining)(embeddings, labels)
    assert float(found["loss"]) == pytest.approx(mean(active), abs=1e-12)
    assert float(found["active_triplets"]) == pytest.approx(len(active) / max(len(mined), 1), abs=1e-6)
    assert float(found["mined_triplets"]) == pytest.approx(len(mined) / max(len(possible), 1), abs=1e-6)


def test_the_example_tells_the_kinds_of_mining_apart() -> None:
    embeddings, labels = example("usual")
    mined = {name: slow_mining(embeddings.tolist(), labels.tolist(), name) for name in MININGS}
    assert {name: len(each) for name, each in mined.items()} == {"all": 100, "hard": 8, "semi_hard": 10}
    found = TripletLoss(margin=MARGIN, mining="all")(embeddings, labels)
    assert 0.1 < float(found["active_triplets"]) < 0.8


def test_semi_hard_is_about_squared_distances() -> None:
    """By plain ones the second triplet were mined, too: 0.6 < 0.7 < 0.6 + 0.2, but 0.36 < 0.49 < 0.56."""
    embeddings = torch.tensor([[0.0], [0.6], [-0.7], [-0.78]])
    labels = torch.tensor([0, 0, 1, 2])
    found = TripletLoss(margin=MARGIN, mining="semi_hard")(embeddings, labels)
    # Of eight triplets (two anchors, two negatives) one: from 0 to 0.6 and to -0.7, not to -0.78.
    assert float(found["mined_triplets"]) == pytest.approx(1 / 4)
    assert float(found["loss"]) == pytest.approx(0.36 - 0.49 + 0.2)


def test_distances_are_exact_however_long_the_embeddings() -> None:
    generator = torch.Generator().manual_seed(0)
    embeddings = 1000 + torch.randn(40, 16, generator=generator)
    exact = (embeddings[:, None].double() - embeddings.double()).square().sum(dim=2)
    found = SquaredDistances()(embeddings)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0.0)
    assert (torch.cdist(embeddings, embeddings) ** 2 - exact).abs().max() > 1  # what the library would do
    assert SquaredDistances()(embeddings[:3], embeddings).shape == (3, 40)


def test_the_hinge_is_that_of_hadsell_and_not_the_librarys() -> None:
    distances = torch.tensor([0.5, 0.5, 1.0, 1.7], dtype=torch.float64)
    matching = squared_hinge(distances, torch.tensor([True] * 4), margin=1.0)
    others = squared_hinge(distances, torch.tensor([False] * 4), margin=1.0)
    assert matching.tolist() == pytest.approx([0.125, 0.125, 0.5, 1.445], abs=1e-12)
    assert others.tolist() == pytest.approx([0.125, 0.125, 0.0, 0.0], abs=1e-12)
    theirs = ContrastiveLoss(pos_margin=0, neg_margin=1.0)
    theirs.distance.normalize_embeddings = False
    assert float(theirs(torch.tensor([[0.0], [0.5]]), torch.tensor([0, 1]))) == pytest.approx(0.5)


@pytest.mark.parametrize("same", [[True, False, False, True, False], [False] * 3, [True] * 2, []])
def test_means_of_pairs_are_slow_loops(same: list[bool]) -> None:
    losses = torch.arange(1.0, len(same) + 1, dtype=torch.float64).square().requires_grad_()
    kinds = torch.tensor(same, dtype=torch.bool)
    each = list(zip(losses.tolist(), same, strict=True))
    halves = [mean([loss for loss, matches in each if matches is kind]) for kind in (True, False)]
    plain = mean_of_pairs(losses, kinds, both_kinds_alike=False)
    alike = mean_of_pairs(losses, kinds, both_kinds_alike=True)
    assert float(plain.detach()) == pytest.approx(mean(losses.tolist()), abs=1e-12)
    assert float(alike.detach()) == pytest.approx(sum(halves) / 2, abs=1e-12)
    (plain + alike).backward()  # type: ignore[no-untyped-call]
    assert losses.grad is not None


def slow_arcface(
    embeddings: Tensor, labels: Tensor, weights: Tensor, *, margin: float, scale: float
) -> float:
    """Equation 3, with the authors' way out beyond 180°."""
    losses = []
    columns = weights.T.tolist()
    for row, label in zip(embeddings.tolist(), labels.tolist(), strict=True):
        cosines = [dot(row, each) / math.sqrt(dot(row, row) * dot(each, each)) for each in columns]
        angle = math.acos(cosines[label])
        widened = angle + margin
        cosines[label] = (
            math.cos(widened) if widened <= math.pi else math.cos(angle) - margin * math.sin(margin)
        )
        total = sum(math.exp(scale * each) for each in cosines)
        losses.append(-math.log(math.exp(scale * cosines[label]) / total))
    return mean(losses)


@pytest.mark.parametrize("case", LABELS)
@pytest.mark.parametrize(("margin", "scale"), [(28.6, 64.0), (100.0, 4.0)])
def test_arcface_is_its_formula(case: str, margin: float, scale: float) -> None:
    embeddings, labels = example(case)
    torch.manual_seed(5)
    loss = additive_angular_margin(
        num_identities=IDENTITIES, embedding_size=5, margin=margin, scale=scale
    ).double()
    expected = slow_arcface(embeddings, labels, loss.W.detach(), margin=math.radians(margin), scale=scale)
    assert float(loss(embeddings, labels).detach()) == pytest.approx(expected, abs=1e-9)


def test_arcface_has_a_slope_where_embeddings_equal_the_weights_or_their_opposite() -> None:
    """The arc cosine has none there that is a number; the library stops it by clamping."""
    loss = additive_angular_margin(num_identities=2, embedding_size=2, margin=28.6, scale=4.0)
    with torch.no_grad():
        loss.W.copy_(torch.eye(2))
    embeddings = torch.tensor([[1.0, 0.0], [0.0, -1.0]], requires_grad=True)
    loss(embeddings, torch.tensor([0, 1])).backward()
    assert embeddings.grad is not None
    assert torch.isfinite(embeddings.grad).all() and torch.isfinite(loss.W.grad).all()


def slow_supervised_contrastive(embeddings: Tensor, labels: Tensor, *, temperature: float) -> float:
    """Equation 2, as the mean over the images that have one like them."""
    rows, identities = embeddings.tolist(), labels.tolist()
    losses = []
    for i, anchor in enumerate(rows):
        others = [a for a in range(len(rows)) if a != i]
        alike = [p for p in others if identities[p] == identities[i]]
        if not alike or len(set(identities)) == 1:
            continue
        total = sum(math.exp(dot(anchor, rows[a]) / temperature) for a in others)
        shares = [math.exp(dot(anchor, rows[p]) / temperature) / total for p in alike]
        losses.append(-mean([math.log(share) for share in shares]))
    return mean(losses)


@pytest.mark.parametrize("temperature", [0.05, 1.0])
@pytest.mark.parametrize("case", LABELS)
def test_supervised_contrast_is_its_formula(case: str, temperature: float) -> None:
    embeddings, labels = example(case)
    expected = slow_supervised_contrastive(embeddings, labels, temperature=temperature)
    found = supervised_contrastive(temperature=temperature)(embeddings, labels)
    assert float(found) == pytest.approx(expected, abs=1e-9)
    assert (expected == 0) == (case in NOTHING_TO_COMPARE)


LOSSES: dict[str, Callable[[], Callable[[Tensor, Tensor], Tensor | dict[str, Tensor]]]] = {
    **{name: lambda name=name: TripletLoss(margin=MARGIN, mining=name) for name in MININGS},  # type: ignore[misc]
    "arcface": lambda: additive_angular_margin(
        num_identities=IDENTITIES, embedding_size=5, margin=28.6, scale=64.0
    ),
    "supcon": lambda: supervised_contrastive(temperature=0.1),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("case", LABELS)
def test_gradients_are_numbers_on_every_batch(case: str, name: str) -> None:
    embeddings, labels = example(case)
    embeddings = embeddings.float().requires_grad_()
    found = LOSSES[name]()(embeddings, labels)
    loss = found["loss"] if isinstance(found, dict) else found
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.shape == ()
    assert embeddings.grad is not None
    assert torch.isfinite(loss) and torch.isfinite(embeddings.grad).all()
    if case in NOTHING_TO_COMPARE and name != "arcface":
        assert float(loss.detach()) == 0 and not embeddings.grad.any()
    elif case == "usual":
        assert float(loss.detach()) > 0 and embeddings.grad.any()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TripletLoss(margin=0.0, mining="all"), r"model\.margin=0\.0 must be above 0"),
        (lambda: TripletLoss(margin=math.nan, mining="all"), r"model\.margin=nan must be above 0"),
        (
            lambda: TripletLoss(margin=0.2, mining="semihard"),  # type: ignore[arg-type]
            r"model\.mining=semihard is not one of all, hard, semi_hard",
        ),
        (lambda: TripletLoss(margin=math.inf, mining="all"), r"model\.margin=inf must be .*, and finite"),
        (lambda: supervised_contrastive(temperature=-0.1), r"model\.temperature=-0\.1 must be above 0"),
        (
            lambda: additive_angular_margin(num_identities=2, embedding_size=2, margin=28.6, scale=0.0),
            r"model\.scale=0\.0 must be above 0",
        ),
        (
            lambda: additive_angular_margin(num_identities=2, embedding_size=2, margin=180.0, scale=64.0),
            r"model\.margin=180\.0 must be below 180: degrees",
        ),
        (
            lambda: additive_angular_margin(num_identities=1, embedding_size=2, margin=28.6, scale=64.0),
            r"model\.num_identities=1, .* at least 2 are needed in the training split",
        ),
    ],
)
def test_impossible_arguments_are_named(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
