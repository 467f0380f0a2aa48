"""Intervals against slow loops and what is known of means."""

import numpy as np
import pytest

from pipeline.bootstrap import interval, resampled, samples


def test_samples_are_drawn_with_replacement_and_the_same_for_a_seed() -> None:
    first, again, other = (list(samples(images=50, draws=20, seed=seed)) for seed in (3, 3, 4))
    assert [sample.tolist() for sample in first] == [sample.tolist() for sample in again]
    assert first[0].tolist() != other[0].tolist()
    assert first[0].tolist() != first[1].tolist()
    for sample in first:
        assert sample.shape == (50,) and sample.min() >= 0 and sample.max() < 50
        assert len(set(sample.tolist())) < 50


def test_measures_of_a_sample_are_paired() -> None:
    values = np.random.default_rng(0).normal(size=30)
    table = resampled(
        [lambda places: values[places].mean(), lambda places: values[places].mean() - 1.0],
        samples(images=30, draws=40, seed=0),
    )
    assert table.shape == (40, 2)
    slow = []
    for places in samples(images=30, draws=40, seed=0):
        total = 0.0
        for place in places:
            total += values[place]
        slow.append(total / 30)
    assert table[:, 0] == pytest.approx(slow)
    # Each alone varies; the difference of the two does not, because both are of the same images.
    found = interval(1.0, table[:, 0] - table[:, 1])
    assert found.low == pytest.approx(1.0) and found.high == pytest.approx(1.0)
    assert table[:, 0].std() > 0.05


def test_the_interval_holds_the_middle_95_percent() -> None:
    ordered = np.arange(1001, dtype=np.float64)
    found = interval(500.0, np.random.default_rng(1).permutation(ordered))
    assert (found.low, found.high) == (pytest.approx(25), pytest.approx(975))


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(2).normal(size=400)
    table = resampled([lambda places: values[places].mean()], samples(images=400, draws=2000, seed=0))
    found = interval(float(values.mean()), table[:, 0])
    reach = 1.96 * values.std() / 20
    assert found.high - found.value == pytest.approx(reach, rel=0.08)
    assert found.value - found.low == pytest.approx(reach, rel=0.08)


def test_samples_without_a_measure_are_left_out() -> None:
    found = interval(0.5, np.array([np.nan, 0.4, 0.6, np.inf]))
    assert found.low == pytest.approx(0.405) and found.high == pytest.approx(0.595)
    assert np.isnan(interval(0.5, np.array([0.4, np.nan])).low)
