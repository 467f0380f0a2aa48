"""Ensembles of every task: equal members answer as one, others as their mean, and what cannot be joined."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules.boxed_dataset import collate
from lightning_modules.base import TaskModule
from lightning_modules.models.detection.faster_rcnn import faster_rcnn
from tests.lightning_modules import identities, pixels, styled, synthetic
from tests.lightning_modules import test_detection as boxes
from tests.lightning_modules.training import quiet_trainer


def classifier(seed: int = 0, **options: Any) -> TaskModule:
    torch.manual_seed(seed)
    return synthetic.task(model=synthetic.TinyNet(), **options)


def detector(seed: int = 0) -> TaskModule:
    torch.manual_seed(seed)
    return boxes.task(faster_rcnn(num_classes=3, image_size=64, scale="light", score_threshold=0.0))


def segmenter(seed: int = 0) -> TaskModule:
    torch.manual_seed(seed)
    return pixels.task(pixels.Sighted())


def verifier(seed: int = 0) -> TaskModule:
    torch.manual_seed(seed)
    model = identities.triplet(network=identities.learning(), embedding_size=8, normalise=True)
    return identities.task(model)


def painter(seed: int = 0) -> TaskModule:
    task = styled.task(styled.Filter(), optimizer=synthetic.task().optimizer_factory)
    torch.manual_seed(seed)
    nn.init.normal_(task.model.network.weight, std=0.3)  # type: ignore[union-attr]
    return task


Batch = Callable[[], Any]
EVERY: dict[str, tuple[Callable[[int], TaskModule], Batch, str]] = {
    "classification": (classifier, lambda: synthetic.batch(6), "probabilities"),
    "detection": (detector, lambda: collate([boxes.item(0), boxes.item(1)]), "detections"),
    "segmentation": (segmenter, lambda: pixels.collate(pixels.MIXED), "mask"),
    "verification": (verifier, lambda: identities.collate(identities.MIXED[:6]), "embedding"),
    "style_transfer": (painter, lambda: styled.ONE, "picture"),
}


def predicted(task: TaskModule, batch: Any, key: str) -> list[Tensor]:
    with torch.inference_mode():
        answer = task.eval().predict_step(batch, 0)[key]
    flat = [each[name] for each in answer for name in ("boxes", "scores")] if key == "detections" else answer
    return [each.float() for each in flat]


def joined(build: Callable[[int], TaskModule], *seeds: int, **options: Any) -> TaskModule:
    first, *others = (build(seed) for seed in seeds)
    first.join(others, **options)
    return first


def twin(build: Callable[[int], TaskModule], *, like: TaskModule) -> TaskModule:
    other = build(9)
    other.load_state_dict(like.state_dict())
    return other


@pytest.mark.parametrize("name", EVERY)
def test_equal_members_answer_as_each_of_them(name: str) -> None:
    build, batch, key = EVERY[name]
    single = build(0)
    team = twin(build, like=single)
    team.join([twin(build, like=single), twin(build, like=single)])
    alone, together = predicted(single, batch(), key), predicted(team, batch(), key)
    if name == "verification":  # side by side: the distances are the same
        pairs = [torch.cdist(torch.stack(each), torch.stack(each)) for each in (alone, together)]
        torch.testing.assert_close(pairs[1], pairs[0], rtol=0, atol=1e-6)
        return
    if name == "detection":
        # Weighted fusion also joins what one network found twice; the most certain are there.
        assert float(together[1].max()) == pytest.approx(float(alone[1].max()), abs=1e-5)
        return
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-6 if name == "classification" else 1)


@pytest.mark.parametrize("name", EVERY)
def test_others_change_the_answer_and_all_weight_on_one_is_that_one(name: str) -> None:
    build, batch, key = EVERY[name]
    single = predicted(build(1), batch(), key)
    team = predicted(joined(build, 0, 1), batch(), key)
    assert len(team) == len(single)
    assert any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(team, single, strict=True))
    if name not in ("detection", "verification"):
        alone = predicted(joined(build, 0, 1, weights=[0, 3]), batch(), key)
        for a, b in zip(alone, single, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-6 if name == "classification" else 1)


@pytest.mark.parametrize("name", EVERY)
def test_one_state_dict_holds_all_members_and_their_weights(name: str) -> None:
    build, batch, key = EVERY[name]
    team = joined(build, 0, 1, weights=[0.25, 0.75])
    single = set(build(0).state_dict())
    own = {each for each in team.state_dict() if not each.startswith(("members.", "member_weights", "units"))}
    assert own == single
    assert {each for each in team.state_dict() if each.startswith("members.0.")} == {
        f"members.0.{each}" for each in single
    }
    other = joined(build, 2, 3)
    other.load_state_dict(team.state_dict())
    assert other.weights == pytest.approx([0.25, 0.75])
    for a, b in zip(predicted(other, batch(), key), predicted(team, batch(), key), strict=True):
        torch.testing.assert_close(a, b)


def test_an_ensemble_costs_what_its_members_cost() -> None:
    single, team = classifier(0).facts(), joined(classifier, 0, 1, 2).facts()
    assert team["parameters"] == 3 * single["parameters"]
    assert single["multiply_adds"] is not None
    assert team["multiply_adds"] == 3 * single["multiply_adds"]


def test_an_ensemble_is_measured_by_what_all_say() -> None:
    team, batch = joined(classifier, 0, 1, 2).eval(), synthetic.batch(12)
    (measures,) = quiet_trainer().test(team, synthetic.loader(size=12, batch_size=5), verbose=False)
    with torch.no_grad():
        each = torch.stack([member(batch["image"]).softmax(dim=1) for member in team.team]).mean(dim=0)
    truth = each[torch.arange(12), batch["label"]]
    assert measures["test/loss"] == pytest.approx(float(-truth.log().mean()), abs=1e-6)
    assert measures["test/top1"] == pytest.approx(float((each.argmax(1) == batch["label"]).float().mean()))


def test_the_loss_of_a_painted_ensemble_is_that_of_the_mean_picture() -> None:
    team = joined(painter, 0, 1)
    _, validation = styled.loaders(styled.ONE, steps=1)
    found = [
        quiet_trainer().validate(each, validation, verbose=False)[0] for each in (painter(0), painter(1))
    ]
    (together,) = quiet_trainer().validate(team, validation, verbose=False)
    # Grain that two networks do not share is less in the mean of their pictures.
    assert together["val/total_variation"] < max(each["val/total_variation"] for each in found)
    assert together["val/loss"] not in [each["val/loss"] for each in found]


def test_windows_and_devices_reach_every_member() -> None:
    team = joined(segmenter, 0, 1)
    team.to(torch.float64)
    assert {parameter.dtype for member in team.team for parameter in member.parameters()} == {torch.float64}
    team.eval()
    assert not any(member.training for member in team.team)


@pytest.mark.parametrize(
    ("others", "options", "message"),
    [
        ([], {}, r"an ensemble needs at least two members"),
        ([verifier], {}, r"of one task, not ClassificationTask and VerificationTask"),
        ([classifier], {"fusion": "wbf"}, r"fusion=wbf is not one of mean_probability, mean_logit, majority"),
        ([classifier], {"weights": [1.0]}, r"weights=\[1\.0\] are 1, and there are 2 members"),
        ([classifier], {"weights": [1.0, -1.0]}, r"must be at least 0 each"),
        ([classifier], {"weights": [0.0, 0.0]}, r"one of them above 0"),
        ([classifier], {"weights": [1.0, float("nan")]}, r"must be at least 0 each"),
    ],
)
def test_what_cannot_be_joined_is_named(others: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(0).join([build(1) for build in others], **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"class_names": ["bee", "ant", "cat"]},
            r"a member knows 3 classes \(bee, ant, cat, \.\.\.\), the first",
        ),
        ({"image_size": 24}, r"a member sees images of 24 pixels, the first one of 16"),
    ],
)
def test_members_of_other_classes_or_sizes_are_refused(changes: dict[str, Any], message: str) -> None:
    other = classifier(1, metadata={**synthetic.metadata(), **changes})
    with pytest.raises(ValueError, match=message):
        classifier(0).join([other])


def test_pictures_of_other_sizes_are_refused() -> None:
    other = styled.task(styled.gatys(features=styled.features(), content_size=[16, 16]))
    with pytest.raises(ValueError, match=r"pictures of the same content and size"):
        styled.task().join([other])
    with pytest.raises(ValueError, match=r"one member takes a style"):
        painter(0).join([styled.task(styled.Filter(needs_style=True))])


def test_weights_are_fitted_for_classification_only() -> None:
    learner = classifier(0)
    learner.keeps_records = True
    records = []
    for seed in (0, 1):
        learner = classifier(seed)
        learner.keeps_records = True
        quiet_trainer().validate(learner, synthetic.loader(size=12, batch_size=5), verbose=False)
        records.append(learner.records())
    fitted = learner.fit_weights(records)
    assert sum(fitted) == pytest.approx(1)

    def loss(weights: list[float]) -> float:
        team = joined(classifier, 0, 1, weights=weights)
        return float(
            quiet_trainer().validate(team, synthetic.loader(size=12, batch_size=5), verbose=False)[0][
                "val/loss"
            ]
        )

    assert loss(fitted) <= min(loss([1, 1]), loss([1, 0]), loss([0, 1])) + 1e-6
    with pytest.raises(ValueError, match=r"weights=fitted: only classification"):
        segmenter(0).fit_weights(records)


def test_the_way_out_of_mirror_images_is_one_that_there_is() -> None:
    with pytest.raises(ValueError, match=r"tta=flip.*; leave tta= out$"):
        verifier().use_tta("flip", mirrors=False)
    with pytest.raises(ValueError, match="take one of multi_scale, flip_multi_scale, which then"):
        segmenter(0).use_tta("flip", mirrors=False)
