"""The nearest right word, and the values that a name allows."""

import pytest

from pipeline.problems import nearest
from pipeline.ranges import RANGES, explain


@pytest.mark.parametrize(
    ("word", "candidates", "expected"),
    [
        ("max_epoch", ["min_epochs", "max_epochs"], "max_epochs"),
        ("ADAM", ["Adagrad", "Adam"], "Adam"),
        ("lenet6", ["LeNet5", "lenet5"], "lenet5"),
        ("wd", ["lr", "weight_decay"], "weight_decay"),
        ("learning_rate", ["lr", "lr_decay"], "lr"),
        ("zzz", ["lr", "momentum"], ""),
        ("lr", [], ""),
    ],
)
def test_nearest(word: str, candidates: list[str], expected: str) -> None:
    assert nearest(word, candidates) == expected


@pytest.mark.parametrize("name", sorted(RANGES))
def test_each_range_refuses_something_and_says_why(name: str) -> None:
    assert "(" in (explain(name, -5) or "")
    assert explain(name, True) is None
    assert explain(name, None) is None
    assert "must be" in (explain(name, float("nan")) or "")
