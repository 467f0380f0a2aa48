"""Verifiers as one: distances are the mean of the members', thresholds are found anew."""

import math

import pytest
import torch
from torch import Tensor

from lightning_modules.models.verification.siamese_logistic import siamese_logistic
from lightning_modules.models.verification.triplet import triplet
from lightning_modules.models.verification.verifier import Verifier
from lightning_modules.verification import VerificationTask
from tests.lightning_modules.identities import MIXED, collate, learning, loader, task
from tests.lightning_modules.training import quiet_trainer

IMAGES = collate(MIXED[:6])["image"]
WEIGHTS = [0.3, 0.7]


def model(seed: int, *, size: int = 4, normalise: bool = True, learnt: bool = False) -> Verifier:
    torch.manual_seed(seed)
    build = siamese_logistic if learnt else triplet
    verifier = build(network=learning(size=size), embedding_size=size, normalise=normalise)
    if learnt:
        torch.nn.init.normal_(verifier.get_parameter("weights"))
    return verifier


def embeddings(learner: VerificationTask) -> Tensor:
    with torch.no_grad():
        return learner.eval().predict_step({"image": IMAGES, "index": torch.arange(6)}, 0)["embedding"]  # type: ignore[no-any-return]


def both(a: VerificationTask, b: VerificationTask) -> tuple[list[Tensor], list[Tensor]]:
    """Embeddings of each by itself, and their distances."""
    each = [embeddings(one) for one in (a, b)]
    return each, [one.distances(own, own) for one, own in zip((a, b), each, strict=True)]


def test_squared_distances_are_the_mean_of_the_members() -> None:
    a, b = task(model(0)), task(model(1, size=6))
    _, apart = both(a, b)
    expected = (WEIGHTS[0] * apart[0] ** 2 + WEIGHTS[1] * apart[1] ** 2).sqrt()
    a.join([b], weights=WEIGHTS)
    found = embeddings(a)
    assert found.shape == (6, 10) and len(a.columns) == 10
    torch.testing.assert_close(a.distances(found, found), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(6))
    rows = a.pair_distances(found[:3], found[3:])
    torch.testing.assert_close(rows, expected[torch.arange(3), torch.arange(3, 6)], rtol=0, atol=1e-5)


def test_distances_that_are_learnt_are_averaged_as_they_are() -> None:
    a, b = task(model(0, learnt=True)), task(model(1, size=6, learnt=True))
    _, apart = both(a, b)
    expected = WEIGHTS[0] * apart[0] + WEIGHTS[1] * apart[1]
    a.join([b], weights=WEIGHTS)
    found = embeddings(a)
    torch.testing.assert_close(a.distances(found, found), expected, rtol=0, atol=1e-5)
    rows = a.pair_distances(found[:3], found[3:])
    torch.testing.assert_close(rows, expected[torch.arange(3), torch.arange(3, 6)], rtol=0, atol=1e-5)


def test_a_learnt_distance_and_a_euclidean_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one member compares by the Euclidean distance"):
        task(model(0)).join([task(model(1, learnt=True))])


def test_embeddings_of_free_length_are_compared_in_units_of_their_thresholds() -> None:
    a, b = task(model(0, normalise=False)), task(model(1, normalise=False))
    _, apart = both(a, b)
    for learner, threshold in ((a, 2.0), (b, 6.0)):
        learner.threshold.fill_(threshold)
    a.join([b])
    found = embeddings(a)
    # In units of the threshold, times the mean threshold.
    expected = 4 * ((apart[0] / 2) ** 2 / 2 + (apart[1] / 6) ** 2 / 2).sqrt()
    torch.testing.assert_close(a.distances(found, found), expected, rtol=1e-4, atol=1e-4)


def test_embeddings_of_free_length_without_a_threshold_are_refused() -> None:
    a = task(model(0, normalise=False))
    a.join([task(model(1, normalise=False))])
    with pytest.raises(ValueError, match=r"was never calibrated; take checkpoints of after a validation"):
        embeddings(a)
    # A checkpoint brings the units with it.
    b, c = task(model(0, normalise=False)), task(model(1, normalise=False))
    b.threshold.fill_(1.0)
    c.threshold.fill_(2.0)
    b.join([c])
    a.load_state_dict(b.state_dict())
    torch.testing.assert_close(embeddings(a), embeddings(b))


def test_the_threshold_is_found_anew_by_validation() -> None:
    a, b = task(model(0)), task(model(1))
    quiet_trainer().validate(a, loader(MIXED), verbose=False)
    before = float(a.threshold)
    a.join([b])
    assert all(math.isnan(float(value)) for value in (a.threshold, a.false_accept_rate, a.calibration[0]))
    quiet_trainer().validate(a, loader(MIXED), verbose=False)
    assert float(a.threshold) not in (before, float(b.threshold))
    assert a.measured is not None and float(a.threshold) == a.measured.threshold
    assert float(a.probabilities(a.threshold)) == pytest.approx(0.5)
