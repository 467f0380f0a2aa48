"""Mixtures against torchvision's, pixel by pixel."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from lightning_modules.mixing import Mixing, cutmix, mix, mixup

SIZE, CLASSES = 6, 4


def images() -> Tensor:
    return torch.rand(SIZE, 3, 8, 10, generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([0, 1, 2, 3, 0, 2])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("mixing", "reference"), [("mixup", v2.MixUp), ("cutmix", v2.CutMix)])
def test_as_torchvision(mixing: Mixing, reference: type[v2.MixUp], seed: int) -> None:
    torch.manual_seed(seed)
    expected_images, expected_targets = reference(alpha=0.8, num_classes=CLASSES)(images(), LABELS)
    torch.manual_seed(seed)
    found_images, found_targets = mix(images(), LABELS, mixing=mixing, alpha=0.8, num_classes=CLASSES)
    torch.testing.assert_close(found_images, expected_images)
    torch.testing.assert_close(found_targets, expected_targets)


def test_mixup_targets_are_the_shares_of_the_images() -> None:
    targets = torch.eye(CLASSES)[LABELS]
    mixed, shares = mixup(images(), targets, share=0.7)
    for i in range(SIZE):
        torch.testing.assert_close(mixed[i], 0.7 * images()[i] + 0.3 * images()[i - 1])
        assert shares[i, LABELS[i]] == pytest.approx(0.7)
        assert shares[i, LABELS[i - 1]] == pytest.approx(0.3)


def test_cutmix_targets_are_the_areas() -> None:
    targets = torch.eye(CLASSES)[LABELS]
    torch.manual_seed(0)
    mixed, shares = cutmix(images(), targets, share=0.5)
    own = (mixed == images()).all(dim=1).float().mean(dim=(1, 2))
    assert 0 < own[0] < 1
    for i in range(SIZE):
        assert shares[i, LABELS[i]] == pytest.approx(float(own[i]))
        assert shares[i, LABELS[i - 1]] == pytest.approx(1 - float(own[i]))


def test_both_draws_each_of_the_two() -> None:
    torch.manual_seed(0)
    kinds = set()
    for _ in range(20):
        mixed, targets = mix(images(), LABELS, mixing="both", alpha=1.0, num_classes=CLASSES)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(SIZE))
        pasted = (mixed == images()) | (mixed == images().roll(1, 0))
        kinds.add(bool(pasted.all()))
    assert kinds == {True, False}


def test_none_changes_nothing_and_draws_nothing() -> None:
    before = torch.get_rng_state()
    mixed, targets = mix(images(), LABELS, mixing="none", alpha=1.0, num_classes=CLASSES)
    assert torch.equal(mixed, images())
    assert torch.equal(targets, LABELS)
    assert torch.equal(before, torch.get_rng_state())
