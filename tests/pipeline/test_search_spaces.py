"""Spaces in Hydra's words: what they hold, what is drawn from them, and that Hydra reads it back."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from scipy import stats

from pipeline.errors import Mistake
from pipeline.sweeps.random_search import RandomSearch, size_of
from pipeline.sweeps.space_words import dimensions_of, overrides_of, written
from pipeline.sweeps.spaces import Choices, Dimension, Numbers, drawn


def read(*words: str) -> list[Dimension]:
    return dimensions_of(OverridesParser.create().parse_overrides(list(words)))


def read_back(word: str) -> Any:
    return OverridesParser.create().parse_override(word).value()


EVERY_KIND = [
    "a=interval(1e-4, 1e-1)",
    "b=tag(log, interval(1e-4,1e-1))",
    "c=tag(log, int(interval(1,9)))",
    "d=int(interval(-3,4))",
    "e=range(1,10)",
    "f=range(10,1,-3)",
    "g=range(0.1,0.5,0.1)",
    "h=tag(log, range(1,100))",
    "model=lenet5,resnet8",
    "model@model.network=choice(lenet5,resnet8)",
    "+i.j=shuffle(range(3))",
    "k=sort(3,1,2)",
    "l='two words',null,1e-05,true,[1,2],{a:1},'12',\"it's\"",
    "m=choice(x\\ y,x\\,y)",
    "n=single",
]


@pytest.mark.parametrize("word", EVERY_KIND)
def test_what_is_written_down_is_read_again(word: str) -> None:
    space = read(word)
    assert dimensions_of(overrides_of(written(space))) == space


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("a=range(1,10)", list(range(1, 10))),
        ("a=range(10,1,-3)", [4, 7, 10]),
        ("a=range(0.1,0.5,0.1)", [0.1, 0.2, 0.3, 0.4]),
        ("a=range(0,7,3)", [0, 3, 6]),
        ("a=int(interval(1,3))", [1, 2, 3]),
        ("a=tag(log, int(interval(1,4)))", [1, 2, 3, 4]),
        ("a='x y',null,1e-05,true,'12'", ["x y", None, 1e-05, True, "12"]),
    ],
)
def test_everything_that_a_space_holds_is_drawn_and_read_back_with_its_type(
    word: str, values: list[Any]
) -> None:
    (dimension,) = read(word)
    generator = Random(0)
    found = [read_back(dimension.override(drawn(dimension.values, generator))) for _ in range(300)]
    assert dimension.size == len(values)
    assert {(type(value), value) for value in found} == {(type(value), value) for value in values}


@pytest.mark.parametrize("number", [1e-05, 0.1, 1 / 3, 123456789.123, 1e22, 5e-324])
def test_a_fraction_is_read_back_exactly(number: float) -> None:
    dimension = Dimension(key="a", values=Numbers(low=0.0, high=1e300))
    assert read_back(dimension.override(number)) == number


def test_a_logarithmic_range_is_drawn_uniformly_in_the_logarithm() -> None:
    (dimension,) = read("lr=tag(log, interval(1e-5, 1e-1))")
    generator = Random(1)
    found = [drawn(dimension.values, generator) for _ in range(2000)]
    assert stats.kstest(found, stats.loguniform(1e-5, 1e-1).cdf).pvalue > 0.01
    assert stats.kstest(found, stats.uniform(1e-5, 1e-1).cdf).pvalue < 1e-6


def test_a_linear_range_is_drawn_uniformly() -> None:
    (dimension,) = read("momentum=interval(0.5, 0.9)")
    generator = Random(1)
    found = [drawn(dimension.values, generator) for _ in range(2000)]
    assert stats.kstest(found, stats.uniform(0.5, 0.4).cdf).pvalue > 0.01


def test_integers_on_a_logarithmic_scale_have_half_a_number_of_room_at_the_ends() -> None:
    (dimension,) = read("width=tag(log, int(interval(1, 8)))")
    generator = Random(2)
    counts = Counter(int(dimension.override(drawn(dimension.values, generator))[6:]) for _ in range(4000))
    expected = stats.loguniform(0.5, 8.5).cdf
    shares = [(expected(number + 0.5) - expected(number - 0.5)) * 4000 for number in range(1, 9)]
    assert stats.chisquare([counts[number] for number in range(1, 9)], shares).pvalue > 0.01


def test_random_search_draws_the_same_list_again() -> None:
    space = read("lr=tag(log, interval(1e-4, 1e-1))", "model=a,b", "depth=range(1,9)")

    def words(seed: int, n_trials: int) -> list[tuple[str, ...]]:
        search = RandomSearch(space=space, n_trials=n_trials, seed=seed)
        return [trial.overrides for trial in iter(search.next, None)]

    assert words(3, 10) == words(3, 10)
    assert words(3, 14)[:10] == words(3, 10)
    assert words(3, 10) != words(4, 10)
    assert len({row[0] for row in words(3, 10)}) == 10


def test_random_search_takes_no_choice_twice_and_ends_when_there_are_no_more() -> None:
    search = RandomSearch(space=read("model=a,b", "depth=range(3)"), n_trials=50, seed=0)
    trials = list(iter(search.next, None))
    assert search.total == 6
    assert [trial.number for trial in trials] == list(range(6))
    assert len({trial.overrides for trial in trials}) == 6


def test_a_space_with_an_interval_is_not_counted() -> None:
    assert size_of(read("a=1,2", "b=range(3)")) == 6
    assert size_of(read("a=1,2", "b=interval(0,1)")) is None


def test_words_that_come_twice_count_once() -> None:
    assert read("a=1,2,1")[0].values == Choices(words=("1", "2"))


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        (
            "lr=interval(0.1, 0.01)",
            ["lr=interval(0.1, 0.01)", "0.1 is not below 0.01", "smaller number first"],
        ),
        ("lr=tag(log, interval(0, 1))", ["lr=tag(log", "has no logarithm", "start above 0"]),
        ("lr=tag(log, range(1, 9, 2))", ["lr=tag(log", "steps of 2", "tag(log, interval(...))"]),
        ("lr=tag(linear, interval(0, 1))", ["lr=tag(linear", "no meaning here", "tag(log, ...)"]),
        ("model=tag(log, choice(a, b))", ["model=tag(log", "no meaning here"]),
        ("lr=range(5, 5)", ["lr=range(5, 5)", "holds no number", "range(1, 10)"]),
        ("lr=range(1, 5, 0)", ["lr=range(1, 5, 0)", "holds no number"]),
    ],
)
def test_what_cannot_be_searched_is_said(word: str, parts: list[str]) -> None:
    with pytest.raises(Mistake) as mistake:
        read(word)
    assert all(part in str(mistake.value) for part in parts), mistake.value
