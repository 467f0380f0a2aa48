"""What a result must beat."""

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningDataModule

from pipeline.baselines import commonest_class


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
