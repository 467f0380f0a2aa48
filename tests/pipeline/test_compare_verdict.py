"""Whether one network is better, against what can be counted and summed by hand."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from lightning_modules.records import ClassifiedRecords, PaintedRecords
from pipeline.bootstrap import Interval
from pipeline.comparing.verdict import (
    BetweenSeeds,
    Discordant,
    Paired,
    Verdict,
    between_seeds,
    load_verdict,
    paired_words,
    seeds_words,
)
from pipeline.work.compare import mcnemar, verdict
from pipeline.work.compare_measured import OnImages, _cached, _keep, _values


def on_images(
    values: np.ndarray, *, whole: float, right: list[bool] | None = None, name: str = "top1"
) -> OnImages:
    return OnImages(
        digest="d",
        split_seed=0,
        index=np.arange(4),
        right=np.array(right or [], dtype=np.bool_),
        whole={name: whole},
        values={name: values},
    )


def listed(**measures: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(config={"measures": measures}, measures={}, cost={})]


def test_mcnemar_is_the_binomial_sum_of_images_that_only_one_gets_right() -> None:
    first = np.array([True] * 9 + [False] * 2 + [True] * 80 + [False] * 9)
    second = np.array([False] * 9 + [True] * 2 + [True] * 80 + [False] * 9)
    found = mcnemar(first, second)
    tail = sum(math.comb(11, k) for k in (0, 1, 2)) / 2**11
    assert (found.only_first, found.only_second) == (9, 2)
    assert found.p == pytest.approx(2 * tail)
    assert mcnemar(second, first).p == pytest.approx(found.p)
    assert mcnemar(first, first) == Discordant(only_first=0, only_second=0, p=1.0)


@pytest.mark.parametrize(("mode", "sign"), [("max", 1), ("min", -1)])
def test_a_gain_is_of_paired_samples_and_above_zero_where_the_first_is_better(mode: str, sign: int) -> None:
    generator = np.random.default_rng(0)
    one = generator.normal(0.9, 0.01, size=500)
    other = one - 0.02 + generator.normal(0, 0.001, size=500)
    (found,) = verdict(
        on_images(one, whole=0.9),
        on_images(other, whole=0.88),
        runs=("a", "b"),
        listed=listed(top1=mode),
    ).measures
    assert found.gain.value == pytest.approx(sign * 0.02)
    ends = np.percentile(sign * (one - other), [2.5, 97.5])
    assert (found.gain.low, found.gain.high) == (pytest.approx(ends[0]), pytest.approx(ends[1]))
    assert found.gain.high - found.gain.low < 0.01 < found.first.high - found.first.low  # not paired
    assert (found.first.value, found.second.value) == (0.9, 0.88)


def test_welch_is_as_its_paper_has_it() -> None:
    first, second = [0.90, 0.92, 0.97, 0.91], [0.80, 0.89]
    found = between_seeds(first, second, name="test/top1", mode="max")
    assert found is not None
    parts = [np.var(values, ddof=1) / len(values) for values in (first, second)]
    t = (np.mean(first) - np.mean(second)) / math.sqrt(sum(parts))
    degrees = sum(parts) ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 1)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), degrees))
    reach = stats.t.ppf(0.975, degrees) * math.sqrt(sum(parts))
    assert found.gain.value == pytest.approx(np.mean(first) - np.mean(second))
    assert found.gain.high - found.gain.value == pytest.approx(reach)
    of_loss = between_seeds(first, second, name="test/loss", mode="min")
    assert of_loss is not None and of_loss.gain.value == pytest.approx(-found.gain.value)


@pytest.mark.filterwarnings("error")
def test_trainings_that_came_to_the_same_are_no_reason_to_warn() -> None:
    found = between_seeds([0.9, 0.9, 0.9], [0.8, 0.7], name="test/top1", mode="max")
    assert found is not None and found.gain.value == pytest.approx(0.15) and 0 < found.p < 1


def test_single_trainings_have_no_spread() -> None:
    assert between_seeds([0.9], [0.8, 0.7], name="test/top1", mode="max") is None
    assert between_seeds([0.9, 0.9], [0.9, 0.9], name="test/top1", mode="max") is None
    # Two pairs of ties are no proof, however far apart.
    assert between_seeds([0.9833, 0.9833], [0.9805, 0.9805], name="test/top1", mode="max") is None


def test_a_measure_that_only_one_network_has_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    values = np.array([0.5, 0.6])
    both = on_images(values, whole=0.5)
    more = OnImages(
        digest="d",
        split_seed=0,
        index=np.arange(4),
        right=np.array([], dtype=np.bool_),
        whole={"top1": 0.5, "segm_map": 0.4},
        values={"top1": values, "segm_map": values},
    )
    for first, second in ((more, both), (both, more)):
        found = verdict(first, second, runs=("a", "b"), listed=listed(top1="max", segm_map="max"))
        assert [one.name for one in found.measures] == ["test/top1"]
        assert "test/segm_map is measured of one of the two only" in capsys.readouterr().out


def found_of(gain: Interval, *, name: str = "test/top1", discordant: Discordant | None = None) -> Verdict:
    ends = [Interval(value=value, low=0.8, high=0.95) for value in (0.9, 0.9 - gain.value)]
    one = Paired(name=name, first=ends[0], second=ends[1], gain=gain)
    return Verdict(runs=("a", "b"), images=359, draws=1000, measures=[one], discordant=discordant)


def words(found: Verdict) -> list[str]:
    return paired_words(found, labels={"a": "A", "b": "B"}, task="classification")


def test_a_person_reads_who_is_better_by_how_much() -> None:
    certain = Interval(value=0.014, low=0.003, high=0.025)
    discordant = Discordant(only_first=9, only_second=1, p=0.0217)
    assert words(found_of(certain, discordant=discordant)) == [
        "test/top1: A is better than B by 1.4 points (0.9000 against 0.8860), 95% interval 0.3 to 2.5",
        "McNemar p = 0.022: of 359 images only A gets 9 right, only B 1",
    ]
    worse = Interval(value=-0.002, low=-0.02, high=0.004)
    assert words(found_of(worse)) == [
        "test/top1: B is better than A by 0.20 points (0.9020 against 0.9000), "
        "95% interval -0.40 to 2.00 (may be chance)"
    ]
    alone = Interval(value=0.1, low=math.nan, high=math.nan)
    assert words(found_of(alone, name="test/loss")) == [
        "test/loss: A is better than B by 0.1 (0.9000 against 0.8000), no interval"
    ]
    assert "A and B are equal" in words(found_of(Interval(value=0.0, low=-0.1, high=0.1)))[0]


def test_a_person_reads_of_trainings() -> None:
    gain = Interval(value=-0.029, low=-0.1, high=0.05)
    found = BetweenSeeds(name="test/top1", gain=gain, p=0.3, counts=(2, 3))
    assert seeds_words(found, names=["A", "B"], task="classification") == (
        "test/top1: B is better than A by 2.9 points in the mean of 2 and 3 trainings, "
        "95% interval -5.0 to 10.0; Welch p = 0.3 (may be chance)"
    )


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    found = found_of(
        Interval(value=0.014, low=0.003, high=0.025),
        discordant=Discordant(only_first=9, only_second=1, p=0.02),
    )
    found.save(tmp_path / "paired.json")
    assert load_verdict(tmp_path / "paired.json") == found


def test_means_over_images_are_the_measures_themselves() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(60, 8, generator=generator)
    labels = torch.randint(0, 8, (60,), generator=generator)
    records = ClassifiedRecords(scores, labels, torch.arange(60))
    places = np.random.default_rng(0).integers(0, 60, size=60)
    for name in ("top1", "top5", "loss"):
        each = records.of_each(name)
        assert each is not None
        assert each[places].mean() == pytest.approx(records.measure(places, name), abs=1e-6)
    assert records.of_each("f1") is None
    assert records.right.tolist() == (scores.argmax(dim=1) == labels).tolist()
    painted = PaintedRecords({0: {"loss": 1.0}, 3: {"loss": 5.0}})
    assert painted.of_each("loss").tolist() == [1.0, 5.0]


def test_samples_are_the_same_for_every_network_and_measure() -> None:
    records = ClassifiedRecords(torch.randn(30, 4), torch.randint(0, 4, (30,)), torch.arange(30))
    fast = _values(records, "top1", draws=20)
    slow = [records.measure(np.random.default_rng(0).integers(0, 30, size=30), "top1")]
    assert fast.shape == (20,) and fast[0] == pytest.approx(slow[0])
    assert len(_values(records, "f1", draws=0)) == 0
    single = ClassifiedRecords(torch.randn(1, 4), torch.zeros(1, dtype=torch.int64), torch.arange(1))
    assert len(_values(single, "top1", draws=20)) == 0


def test_what_was_measured_is_kept_for_the_same_weights_only(tmp_path: Path) -> None:
    path = tmp_path / "comparisons" / "test.npz"
    key = {"digest": "d", "checkpoint": ["a.ckpt", 3, 4], "draws": None, "names": ["tar_at_far_0.1"]}
    found = {
        "index": np.arange(3),
        "right": np.array([True, False, True]),
        "whole": {"tar_at_far_0.1": 0.5},
        "values": {"tar_at_far_0.1": np.array([0.25, 0.75])},
    }
    assert _cached(path, key=key) is None
    _keep(found, path, key=key)
    again = _cached(path, key=key)
    assert again is not None and again["whole"] == found["whole"]
    assert again["right"].tolist() == [True, False, True]
    assert again["values"]["tar_at_far_0.1"].tolist() == [0.25, 0.75]
    assert [file.name for file in path.parent.iterdir()] == ["test.npz"]
    for changed in ({"checkpoint": ["a.ckpt", 3, 5]}, {"digest": "e"}, {"draws": 5}, {"names": []}):
        assert _cached(path, key={**key, **changed}) is None
