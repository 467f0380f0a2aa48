"""The classification task: losses, measures, rows, facts."""

import math
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from lightning_modules.losses.class_weights import balance
from tests.lightning_modules.synthetic import NAMES, TinyNet, batch, loader, metadata, task
from tests.lightning_modules.training import quiet_trainer

SCORES = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 3.0], [-1.0, 0.0, 1.0], [1.0, 1.0, -2.0]])
LABELS = torch.tensor([0, 1, 2, 1])


def log_probabilities(row: list[float]) -> list[float]:
    total = sum(math.exp(score) for score in row)
    return [score - math.log(total) for score in row]


def slow_loss(targets: list[list[float]]) -> float:
    """Mean over the images of the cross-entropy between targets and scores."""
    losses = [
        -sum(share * value for share, value in zip(target, log_probabilities(row), strict=True))
        for row, target in zip(SCORES.tolist(), targets, strict=True)
    ]
    return sum(losses) / len(losses)


def smooth(label: int, smoothing: float) -> list[float]:
    return [(1 - smoothing) * (c == label) + smoothing / 3 for c in range(3)]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_label_smoothing(smoothing: float) -> None:
    expected = slow_loss([smooth(label, smoothing) for label in LABELS.tolist()])
    found = task(label_smoothing=smoothing).training_loss(SCORES, LABELS)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_soft_targets() -> None:
    targets = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.1, 0.9]])
    assert float(task().training_loss(SCORES, targets)) == pytest.approx(
        slow_loss(targets.tolist()), rel=1e-5
    )


def test_balanced_weights() -> None:
    weights = balance([2, 3, 5], how="balanced")
    assert weights is not None
    assert weights.tolist() == pytest.approx([10 / 6, 10 / 9, 10 / 15])
    losses = [
        -log_probabilities(row)[label] for row, label in zip(SCORES.tolist(), LABELS.tolist(), strict=True)
    ]
    used = [weights.tolist()[label] for label in LABELS.tolist()]
    expected = sum(w * loss for w, loss in zip(used, losses, strict=True)) / sum(used)
    found = task(class_weights="balanced").training_loss(SCORES, LABELS)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_class_without_images_weighs_nothing() -> None:
    weights = balance([4, 0, 4], how="balanced")
    assert weights is not None
    assert weights.tolist() == pytest.approx([2 / 3, 0, 2 / 3])
    assert balance([4, 0, 4], how="none") is None


def test_one_training_logs_every_measure_and_learns() -> None:
    built = task()
    trainer = quiet_trainer(max_epochs=2)
    trainer.fit(built, loader(size=24, batch_size=8), loader(size=12, batch_size=5))
    names = ("loss", "top1", "top5", "f1", "auc", "ece")
    expected = {f"{stage}/{name}" for stage in ("train", "val") for name in names} | {"train/loss_step"}
    assert set(trainer.callback_metrics) == expected
    (tested,) = trainer.test(built, loader(size=12, batch_size=5), verbose=False)
    assert set(tested) == {f"test/{name}" for name in names}


def test_measures_are_of_all_images_whatever_the_batch_size() -> None:
    built = task(label_smoothing=0.3, class_weights="balanced").eval()
    results = [
        quiet_trainer().test(built, loader(size=12, batch_size=size), verbose=False)[0] for size in (12, 5)
    ]
    assert results[0] == pytest.approx(results[1], abs=1e-6)
    scores = built(batch(12)["image"]).detach()
    plain = torch.nn.functional.cross_entropy(scores, batch(12)["label"])
    assert results[0]["test/loss"] == pytest.approx(float(plain), abs=1e-6)
    hits = (scores.argmax(1) == batch(12)["label"]).float().mean()
    assert results[0]["test/top1"] == pytest.approx(float(hits))


@pytest.mark.parametrize("mixing", ["mixup", "cutmix", "both"])
def test_mixtures_train_and_are_reproducible(mixing: str) -> None:
    def losses() -> list[float]:
        torch.manual_seed(3)
        built = task(mixing=mixing, mixing_alpha=1.0)
        quiet_trainer(max_epochs=1).fit(built, loader(size=24, batch_size=8))
        return [float(parameter.detach().sum()) for parameter in built.parameters()]

    assert losses() == losses()


def test_outputs_and_rows() -> None:
    built = task().eval()
    given = batch(4)
    with torch.no_grad():
        predicted = built.predict_step(given, 0)
    torch.testing.assert_close(predicted["probabilities"].sum(dim=1), torch.ones(4))
    assert torch.equal(predicted["index"], given["index"])
    output: Any = {"probabilities": torch.tensor([[0.25, 0.7, 0.05]]), "index": torch.tensor([0])}
    assert built.rows(output) == [
        [
            {
                "label": "bee",
                "probability": pytest.approx(0.7),
                "top5": "bee:0.70 ant:0.25 cat:0.05",
                "probability_ant": pytest.approx(0.25),
                "probability_bee": pytest.approx(0.7),
                "probability_cat": pytest.approx(0.05),
            }
        ]
    ]
    assert built.class_names == NAMES


class Keep(Callback):
    """Keeps what validation returns, as figures do."""

    def __init__(self) -> None:
        self.found: list[Any] = []

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, output: Any, *args: Any
    ) -> None:
        self.found.append(output)


def test_validation_returns_what_figures_need() -> None:
    keep = Keep()
    quiet_trainer(callbacks=[keep]).validate(task(), loader(size=7, batch_size=4), verbose=False)
    assert [set(each) for each in keep.found] == [{"probabilities", "label", "index"}] * 2
    assert torch.cat([each["index"] for each in keep.found]).tolist() == list(range(7))
    assert torch.cat([each["probabilities"] for each in keep.found]).shape == (7, 3)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("label_smoothing", 1.0, r"task\.label_smoothing=1\.0 must be at least 0 and below 1"),
        ("mixing", "mix", r"task\.mixing=mix is not one of none, mixup, cutmix, both"),
        ("mixing_alpha", 0.0, r"task\.mixing_alpha=0\.0 must be above 0"),
        ("class_weights", "even", r"task\.class_weights=even is not one of none, balanced"),
        ("mode", "up", r"task\.mode=up is not one of max, min"),
    ],
)
def test_impossible_values_are_named(option: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(**{option: value})


def test_a_checkpoint_holds_the_model_and_nothing_else() -> None:
    built = task(class_weights="balanced", metadata=metadata())
    assert set(built.state_dict()) == {f"model.{key}" for key in TinyNet().state_dict()}
