"""What a result must beat."""

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningDataModule

from pipeline.baselines import commonest_class, pixel_distance


class Masks(LightningDataModule):
    """Three classes, of which training has mostly the second; the third is not in the test split."""

    metadata: ClassVar = {"class_names": ["a", "b", "c"], "class_counts": [10, 90, 1]}
    masks: ClassVar = [[[0, 1, 1, 255]], [[1, 1]], [[0], [0], [0], [0]]]

    def dataset(self, split: str, *, augment: bool) -> list[dict[str, Any]]:
        assert (split, augment) == ("test", False)
        return [{"mask": torch.tensor(mask, dtype=torch.uint8)} for mask in self.masks]


def test_the_commonest_class_of_training_is_said_everywhere() -> None:
    found = commonest_class(datamodule=Masks(), limit_test=2)
    assert found["commonest_class_everywhere"] == pytest.approx((0 + 4 / 5) / 2)
    assert found["commonest_class_everywhere/pixel_accuracy"] == pytest.approx(4 / 5)
    whole = commonest_class(datamodule=Masks(), limit_test=100)
    assert whole["commonest_class_everywhere/pixel_accuracy"] == pytest.approx(4 / 9)


def test_a_class_that_is_only_said_counts_as_one_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Masks, "metadata", {**Masks.metadata, "class_counts": [1, 1, 5]})
    assert commonest_class(datamodule=Masks(), limit_test=9)["commonest_class_everywhere"] == 0


def test_it_is_what_the_measures_of_such_masks_say() -> None:
    from lightning_modules.metrics.segmentation import Tally

    tally = Tally(num_classes=3, ignored=255)
    for mask in Masks.masks:
        truth = np.array(mask, np.uint8)
        tally.add(truth, np.ones_like(truth), loss=0.0)
    measures = tally.measured().measures()
    found = commonest_class(datamodule=Masks(), limit_test=9)
    assert found["commonest_class_everywhere"] == pytest.approx(measures["miou"])
    assert found["commonest_class_everywhere/pixel_accuracy"] == pytest.approx(measures["pixel_accuracy"])


def test_a_split_without_a_pixel_has_no_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Masks, "masks", [[[255]]])
    with pytest.raises(ValueError, match="no pixel of the test split"):
        commonest_class(datamodule=Masks(), limit_test=9)


class Pictures(LightningDataModule):
    """Pictures of one shade each, of two identities; some pairs of them may be listed."""

    shades: ClassVar = [10, 20, 90, 12, 80, 100]
    labels: ClassVar = [0, 0, 1, 0, 1, 0]
    listed: ClassVar[Any] = None

    def listed_pairs(self, split: str) -> Any:
        assert split == "test"
        return self.listed

    def dataset(self, split: str, *, augment: bool) -> list[dict[str, Any]]:
        assert (split, augment) == ("test", False)
        return [
            {"image": torch.full((3, 40, 40), shade, dtype=torch.uint8), "label": label}
            for shade, label in zip(self.shades, self.labels, strict=True)
        ]


def likeness(places: list[tuple[int, int]]) -> tuple[list[bool], list[int]]:
    """By hand: whether pairs match, and how near their shades are."""
    same = [Pictures.labels[first] == Pictures.labels[second] for first, second in places]
    return same, [-abs(Pictures.shades[first] - Pictures.shades[second]) for first, second in places]


def auc_by_hand(same: list[bool], near: list[int]) -> float:
    """Share of the couples of a matching and another pair of which that one is nearer; draws count half."""
    couples = [
        (one, other)
        for one, is_same in zip(near, same, strict=True)
        if is_same
        for other, is_same_too in zip(near, same, strict=True)
        if not is_same_too
    ]
    return float(np.mean([(one > other) + (one == other) / 2 for one, other in couples]))


def test_pixels_are_compared_in_every_pair() -> None:
    every = [(first, second) for first in range(6) for second in range(first + 1, 6)]
    found = pixel_distance(datamodule=Pictures(), limit_test=100)
    assert set(found) == {"pixel_distance", "pixel_distance/eer"}
    assert found["pixel_distance"] == pytest.approx(auc_by_hand(*likeness(every)))
    fewer = [pair for pair in every if set(pair) <= {0, 2, 5}]  # three at even distances: 0, 2.5, 5
    assert pixel_distance(datamodule=Pictures(), limit_test=3)["pixel_distance"] == pytest.approx(
        auc_by_hand(*likeness(fewer))
    )


def test_listed_pairs_are_those_that_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [(0, 5), (0, 2), (1, 3), (4, 5), (2, 4)]
    same, near = likeness(places)
    rows = [[*pair, int(match), -1] for pair, match in zip(places, same, strict=True)]
    monkeypatch.setattr(Pictures, "listed", np.array(rows))
    whole = pixel_distance(datamodule=Pictures(), limit_test=100)
    assert whole["pixel_distance"] == pytest.approx(auc_by_hand(same, near)) == pytest.approx(4 / 6)
    with pytest.raises(ValueError, match="2 of 2 pairs"):  # the first and the last: of four images at most
        pixel_distance(datamodule=Pictures(), limit_test=4)


def test_the_equal_error_rate_lies_between_two_points() -> None:
    from lightning_modules.metrics.verification.roc import equal_error_rate, roc
    from pipeline.baselines import _equal_error_rate

    generator = np.random.default_rng(0)
    for size in (7, 30, 200):
        same = generator.random(size) < 0.4
        distance = generator.normal(size=size).round(1) + ~same
        ours, tasks = _equal_error_rate(same, -distance), equal_error_rate(roc(distance, same))
        assert ours == pytest.approx(tasks)
        assert 0 < ours < 0.5


def test_pairs_of_one_kind_have_no_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pictures, "labels", [1] * 6)
    with pytest.raises(ValueError, match="15 of 15 pairs of the test split match"):
        pixel_distance(datamodule=Pictures(), limit_test=100)
