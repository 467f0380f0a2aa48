"""The verification task: what is minimised, measured over the whole split, and refused."""

import logging
from functools import partial
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.images_with_identities import listed_pairs
from lightning_modules.losses.verification import TripletLoss
from lightning_modules.metrics.verification.records import Tally
from lightning_modules.models.verification.arcface import arcface
from lightning_modules.models.verification.siamese_contrastive import siamese_contrastive
from lightning_modules.models.verification.siamese_logistic import siamese_logistic
from lightning_modules.models.verification.supcon import supcon
from lightning_modules.verification import VerificationTask
from tests.lightning_modules.identities import (
    METADATA,
    MIXED,
    OF_IMAGES,
    OF_PAIRS,
    collate,
    item,
    learning,
    listed,
    loader,
    mean_colours,
    measures_on,
    patterned,
    seeing,
    task,
)
from tests.lightning_modules.training import quiet_trainer

SOME = [(a, b) for a, b in combinations(range(30), 2) if (a + b) % 3]


def test_losses_are_those_of_the_model_and_each_is_logged() -> None:
    learner = task()
    batch = collate(MIXED)
    expected = TripletLoss(margin=0.2, mining="semi_hard")(mean_colours(MIXED), batch["label"])
    trainer = quiet_trainer(max_epochs=1, limit_val_batches=0)
    trainer.fit(learner, loader(MIXED, batch_size=30))
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert set(logged) == {"train/loss", "train/loss_step", *(f"train/{name}" for name in expected)}
    assert len(expected) > 1
    for name, value in expected.items():
        assert logged[f"train/{name}"] == pytest.approx(float(value), rel=1e-4), name
    assert logged["train/loss_step"] == logged["train/loss"]


def test_losses_are_of_the_pairs_that_a_batch_lists() -> None:
    learner = task(siamese_contrastive(network=seeing().network, embedding_size=3))
    learner.log = lambda *_, **__: None  # type: ignore[method-assign]
    items = [item(5, label=0), item(3, label=0), item(4, label=1), item(6, label=0)]
    seen = learner(torch.stack([each["image"] for each in items]))
    apart = learner.pair_distances(seen[[0, 2]], seen[[1, 0]]).detach()
    loss = learner.training_step(collate(listed(items, [(5, 3), (4, 5)])), 0)
    expected = (apart[0] ** 2 / 2 + (1 - apart[1]).clamp(min=0) ** 2 / 2) / 2
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-4)


def test_pairs_of_a_batch_are_places_in_it() -> None:
    found = listed_pairs(collate(listed(MIXED[4:9], [(8, 5), (4, 5), (6, 7)]))["pairs"])
    assert found is not None
    assert [each.tolist() for each in found] == [[4, 0, 2], [1, 1, 3], [False, False, False]]
    assert listed_pairs(collate(MIXED[:4])["pairs"]) is None


def test_a_validation_or_test_measures_the_pairs_and_the_images() -> None:
    learner = task()
    trainer = quiet_trainer()
    trainer.validate(learner, loader(MIXED), verbose=False)
    assert set(trainer.callback_metrics) == {f"val/{name}" for name in OF_PAIRS | OF_IMAGES}
    assert set(measures_on(learner, MIXED)) == {f"test/{name}" for name in OF_PAIRS | OF_IMAGES}


@pytest.mark.parametrize("items", [MIXED, listed(MIXED, SOME, folds=3)], ids=["all pairs", "listed pairs"])
def test_measures_do_not_depend_on_batches_and_order(items: list[Any]) -> None:
    learner = task()
    expected = measures_on(learner, items, batch_size=30)
    assert 0.6 < expected["test/auc"] < 1
    for size in (1, 7):
        assert measures_on(learner, items, batch_size=size) == pytest.approx(expected, abs=1e-6)
    shuffled = [items[place] for place in np.random.default_rng(0).permutation(30)]
    assert measures_on(learner, shuffled) == pytest.approx(expected, abs=1e-6)


def test_what_was_measured_is_kept_for_figures() -> None:
    learner = task()
    measures_on(learner, MIXED[::-1])
    found = learner.measured
    assert found is not None
    colours = mean_colours(MIXED)
    assert found.embeddings == pytest.approx(colours.numpy(), abs=1e-5)
    assert found.index.tolist() == list(range(30))
    assert found.labels.tolist() == [each["label"] for each in MIXED]
    assert list(zip(found.first, found.second, strict=True)) == list(combinations(range(30), 2))
    assert found.distance == pytest.approx(torch.pdist(colours).numpy(), abs=1e-5)
    assert found.same.tolist() == [
        MIXED[a]["label"] == MIXED[b]["label"] for a, b in combinations(range(30), 2)
    ]
    measures_on(learner, listed(MIXED[2:], [(3, 8), (3, 4)]))
    assert learner.measured is not None
    assert learner.measured.first.tolist() == [3, 3]  # positions in the split, of which this is a part
    assert learner.measured.second.tolist() == [8, 4]
    assert learner.measured.index.tolist() == list(range(2, 30))


def test_the_distance_is_that_of_the_model() -> None:
    learner = task(siamese_logistic(network=seeing().network, embedding_size=3))
    with torch.no_grad():
        learner.model.weights.copy_(torch.tensor([-1.0, 0.5, -3.0]))
        learner.model.bias.fill_(0.7)
    measures_on(learner, MIXED)
    assert learner.measured is not None
    colours = mean_colours(MIXED)
    first, second = np.array(list(combinations(range(30), 2))).T
    logits = ((colours[first] - colours[second]).abs() * torch.tensor([-1.0, 0.5, -3.0])).sum(1) + 0.7
    assert learner.measured.distance == pytest.approx(-logits.numpy(), abs=1e-5)


@pytest.mark.parametrize("items", [MIXED, listed(MIXED, SOME, folds=3)], ids=["all pairs", "listed pairs"])
def test_processes_are_measured_together(items: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third image is another process's, among them one image of many pairs; one image is on both."""
    expected = measures_on(task(), items)
    other, learner = task(), task()
    for each, part in ((other, items[::3]), (learner, [*items[1::3], *items[2::3], items[0]])):
        each.validation_step(collate(part), 0)

    def gather(everyone: list[Any], mine: Tally) -> None:
        everyone[:] = [mine, other.tally]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    trainer = SimpleNamespace(world_size=2, sanity_checking=False, is_global_zero=True)
    monkeypatch.setattr(VerificationTask, "trainer", trainer)
    logged: dict[str, float] = {}
    learner.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign]
    learner.on_test_epoch_end()
    assert logged == pytest.approx(expected, abs=1e-6)
    assert learner.measured is not None
    assert learner.measured.index.tolist() == list(range(30))


def test_each_validation_starts_anew() -> None:
    learner = task()
    for items in (MIXED, MIXED[:12]):
        quiet_trainer().validate(learner, loader(items), verbose=False)
    assert learner.measured is not None
    assert len(learner.measured.index) == 12


def test_limits_of_pairs_and_queries() -> None:
    learner = task(max_pairs=50, max_queries=7)
    measures = measures_on(learner, MIXED)
    assert learner.measured is not None
    assert len(learner.measured.first) == 50
    assert measures["test/recall_1"] * 7 == pytest.approx(round(measures["test/recall_1"] * 7), abs=1e-5)


def test_rows_and_predictions() -> None:
    learner = task()
    found = learner.predict_step(collate(MIXED[:2]), 0)
    assert set(found) == {"embedding", "index"}
    assert set(learner.validation_step(collate(MIXED[:2]), 0)) == {"embedding", "index", "label"}
    rows = learner.rows(found)
    assert [len(each) for each in rows] == [1, 1]
    assert list(rows[1][0]) == learner.columns == ["embedding_0", "embedding_1", "embedding_2"]
    assert list(rows[1][0].values()) == pytest.approx(mean_colours(MIXED)[1].tolist(), abs=1e-5)


def test_a_network_learns_to_tell_patterns_apart() -> None:
    """On grounds of any colour: before training, what is alike is the colour."""
    seen = [patterned(index, label=index % 6) for index in range(96)]
    new = [patterned(1_000 + index, label=index % 6) for index in range(48)]
    learner = task(supcon(network=learning(), embedding_size=8))
    before = measures_on(learner, new)["test/auc"]
    trainer = quiet_trainer(max_epochs=5)
    trainer.fit(learner, loader(seen, batch_size=24), loader(new))
    after = measures_on(learner, new)["test/auc"]
    assert before < 0.85
    assert after > max(before + 0.1, 0.95)
    assert float(trainer.callback_metrics["val/auc"]) == pytest.approx(after)


@pytest.mark.parametrize(
    ("stage", "label", "message"),
    [
        ("fit", 6, r"image 7 has the identity 6, and identities are 0 to 5, since metadata counts 6"),
        ("fit", -1, r"image 7 has the identity -1, and identities are 0 to 5"),
        ("test", -1, r"image 7 has the identity -1, and identities are at least 0"),
    ],
)
def test_an_impossible_identity_is_named_with_its_image(stage: str, label: int, message: str) -> None:
    items = [*MIXED[:7], item(7, label=label)]
    run = partial(quiet_trainer(max_epochs=1).fit, task(), loader(items))
    with pytest.raises(ValueError, match=message):
        run() if stage == "fit" else measures_on(task(), items)


def test_identities_that_are_new_are_measured() -> None:
    items = [{**each, "label": each["label"] + 100} for each in MIXED]
    assert measures_on(task(), items) == measures_on(task(), MIXED)


def test_a_batch_with_pairs_for_other_images_is_refused() -> None:
    batch = collate(MIXED[:4])
    batch["pairs"] = batch["pairs"][:3]
    learner = task()
    learner.trainer = quiet_trainer()
    with pytest.raises(ValueError, match=r"a batch of 4 images has pairs for 3"):
        learner.on_before_batch_transfer(batch, 0)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (
            [item(index, label=index) for index in range(4)],
            r"the test split has 6 pairs of its 4 images, none",
        ),
        ([item(index, label=3) for index in range(4)], r"the test split has 6 pairs of its 4 images, all"),
        (listed(MIXED, [(0, 1), (2, 3)]), r"the test split has 2 pairs of its 30 images, none"),
    ],
    ids=["no matching", "no other", "listed"],
)
def test_a_split_with_pairs_of_one_kind_is_refused(items: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measures_on(task(), items)


def test_of_a_part_with_pairs_of_one_kind_the_rest_is_measured(caplog: pytest.LogCaptureFixture) -> None:
    items = [item(index, label=index // 4) for index in range(24)]
    trainer = quiet_trainer(limit_test_batches=1)
    with caplog.at_level(logging.WARNING):
        (found,) = trainer.test(task(), loader(items, batch_size=4), verbose=False)
    assert set(found) == {f"test/{name}" for name in OF_IMAGES}
    assert "6 pairs of its 4 images, all of them matching" in caplog.text
    assert "trainer.limit_test_batches=1" in caplog.text
    quiet_trainer(fast_dev_run=True).test(task(), loader(items, batch_size=4), verbose=False)


def test_shares_below_one_pair_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="lightning_modules.verification"):
        quiet_trainer().validate(task(), loader(MIXED), verbose=False)
        assert not caplog.records
        measures_on(task(), MIXED)
    (record,) = caplog.records
    assert "tar_at_far_0.001, tar_at_far_0.0001: 360 pairs that do not match" in record.message


def test_a_network_that_diverged_is_named() -> None:
    learner = task()
    with torch.no_grad():
        next(learner.model.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match=r"embeddings of 30 of 30 images of test are not finite"):
        measures_on(learner, MIXED)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("max_pairs", 1, r"task\.max_pairs=1 must be at least 2"),
        ("max_queries", 0, r"task\.max_queries=0 must be at least 1"),
        ("mode", "best", r"task\.mode=best is not one of max, min"),
    ],
)
def test_impossible_values_are_named(option: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(**{option: value})


def test_a_model_for_fewer_identities_than_there_are_is_refused_before_training() -> None:
    def angular(count: int) -> VerificationTask:
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 4))
        return task(arcface(network=network, num_identities=count, embedding_size=4))

    with pytest.raises(ValueError, match=r"model\.num_identities=5, but training has 6 .* leave it null"):
        angular(5)
    assert angular(6).num_identities == METADATA["num_identities"]
    angular(7)


def test_facts_and_groups() -> None:
    learner = task()
    assert learner.facts()["multiply_adds"] == 9
    assert learner.head_parameters() == {"network.2.weight"}
    assert learner.num_identities == METADATA["num_identities"]
    grey = task(metadata={**METADATA, "channels": 1, "mean": [0.5], "std": [0.25]})
    shapes: list[tuple[int, ...]] = []

    def spy(images: Tensor) -> Tensor:
        shapes.append(tuple(images.shape))
        return torch.zeros(len(images), 3)

    grey.model.forward = spy  # type: ignore[method-assign]
    grey.predict_step(collate(MIXED[:2]), 0)
    assert shapes == [(2, 1, 8, 8)]
