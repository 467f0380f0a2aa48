"""Records of images measure any choice of them as the tasks would."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from lightning_modules.records import Records
from tests.lightning_modules import identities, pixels, styled, synthetic
from tests.lightning_modules import test_detection as boxes
from tests.lightning_modules.training import quiet_trainer

GENERATOR = np.random.default_rng(0)


def measures_and_records(learner: Any, data: Any) -> tuple[dict[str, float], Records]:
    learner.keeps_records = True
    given = {"datamodule": data} if isinstance(data, boxes.Data) else {"dataloaders": data}
    (measures,) = quiet_trainer().test(learner, **given, verbose=False)
    return {name.removeprefix("test/"): value for name, value in measures.items()}, learner.records()


def detected() -> tuple[Any, Any]:
    answers = {1: boxes.answer(), 2: boxes.answer(found=1), 3: boxes.answer(shift=2.0)}
    return boxes.task(boxes.Oracle(answers)), boxes.Data([boxes.item(0), boxes.item(1), boxes.item(2)])


def painted() -> tuple[Any, Any]:
    learner = styled.task(styled.Filter(), optimizer=synthetic.task().optimizer_factory)
    batch = styled.batch_of([styled.picture(1), styled.picture(3)], [[styled.picture(2)]] * 2)
    return learner, styled.loaders(batch, steps=1)[1]


EVERY = {
    "classification": lambda: (synthetic.task(), synthetic.loader(size=12, batch_size=5)),
    "detection": detected,
    "segmentation": lambda: (pixels.task(), pixels.loader(pixels.MIXED)),
    "verification": lambda: (identities.task(), identities.loader(identities.MIXED)),
    "style_transfer": painted,
}


@pytest.mark.parametrize("name", EVERY)
def test_all_images_once_are_what_was_reported(name: str) -> None:
    measures, records = measures_and_records(*EVERY[name]())
    assert len(records) == len(records.index) > 1
    shared = set(records.names) & set(measures)
    assert shared >= {
        "classification": {"top1", "loss", "ece"},
        "detection": {"map"},
        "segmentation": {"miou"},
    }.get(name, {"auc"} if name == "verification" else {"loss"})
    for each in shared:
        found = records.measure(np.arange(len(records)), each)
        assert found == pytest.approx(measures[each], abs=1e-5, nan_ok=True), each
    with pytest.raises(ValueError, match=r"measure=nonsense"):
        records.measure(np.arange(2), "nonsense")


@pytest.mark.parametrize("name", EVERY)
def test_the_order_of_images_does_not_matter_and_their_number_does(name: str) -> None:
    _, records = measures_and_records(*EVERY[name]())
    measure = {
        "classification": "loss",
        "detection": "map_50",
        "segmentation": "loss",
        "verification": "auc",
    }.get(name, "loss")
    places = GENERATOR.integers(len(records), size=len(records))
    places[:2] = 0, len(records) - 1
    found = records.measure(places, measure)
    assert found == pytest.approx(records.measure(places[::-1], measure), nan_ok=True)
    twice = records.measure(np.concatenate([places, places]), measure)
    if name != "verification":  # there, images of twice as many pairs with each other
        assert twice == pytest.approx(found)
    chosen = {records.measure(np.array([place] * 3 + [0, 1]), measure) for place in range(len(records))}
    assert len(chosen) > 1


def test_pairs_count_as_often_as_both_of_their_images() -> None:
    _, records = measures_and_records(*EVERY["verification"]())
    labels = np.array([item["label"] for item in identities.MIXED])
    colours = identities.mean_colours(identities.MIXED)
    places = GENERATOR.integers(len(records), size=len(records))
    distances = torch.cdist(colours[places], colours[places]).numpy()
    first, second = np.triu_indices(len(places), k=1)
    pairs = places[first] != places[second]  # an image is not compared with itself
    same = labels[places][first] == labels[places][second]
    expected = roc_auc_score(same[pairs], -distances[first, second][pairs])
    assert records.measure(places, "auc") == pytest.approx(expected, abs=1e-6)


def test_an_image_that_two_batches_have_counts_once() -> None:
    learner = synthetic.task().eval()
    learner.keeps_records = True
    learner.on_test_epoch_start()
    learner.log = lambda *_, **__: None  # type: ignore[method-assign]
    for start in (0, 3):
        batch = synthetic.batch(8)
        learner.test_step({key: value[start : start + 5] for key, value in batch.items()}, 0)  # type: ignore[arg-type, index]
    records = learner.records()
    assert records.index.tolist() == list(range(8))
    torch.testing.assert_close(records.scores, learner(synthetic.batch(8)["image"]))


def test_nothing_is_kept_unless_it_is_asked_for() -> None:
    for learner, data in (EVERY["classification"](), EVERY["segmentation"]()):
        quiet_trainer().test(learner, data, verbose=False)
        with pytest.raises(AssertionError, match="set keeps_records"):
            learner.records()
