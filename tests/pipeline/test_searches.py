"""Which search a person gets, what is refused, and how a fine sweep narrows a coarse one."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Mistake
from pipeline.sweeps.carrying import carried
from pipeline.sweeps.folder import Sweep
from pipeline.sweeps.grid import GridSearch
from pipeline.sweeps.jobs import Outcome
from pipeline.sweeps.narrowing import narrowed
from pipeline.sweeps.random_search import RandomSearch
from pipeline.sweeps.space_words import written
from tests.pipeline.searching import LR, a_sweep, again, search, values_of


def earlier(
    root: Path, space: Mapping[str, str], rows: list[tuple[dict[str, Any], float]], **facts: Any
) -> Sweep:
    """A sweep that has ended: choices with val/top1 each, and what they took as their number."""
    sweep = a_sweep(root, space=dict(space), **facts)
    for number, (chosen, value) in enumerate(rows):
        failed = math.isnan(value)
        sweep.add(
            Outcome(
                number=number,
                trial=number,
                overrides=tuple(f"{key}={word}" for key, word in chosen.items()),
                status="FAILED" if failed else "FINISHED",
                code=int(failed),
                run_id=None,
                folder=None,
                measures={} if failed else {"val/top1": value},
                seconds=float(number),
            )
        )
    return sweep


def test_plain_searches_need_no_service(tmp_path: Path) -> None:
    assert isinstance(search("a=1,2", root=tmp_path), GridSearch)
    drawn = search(LR, root=tmp_path, method="random")
    assert isinstance(drawn, RandomSearch) and drawn.total == 20
    assert not list(tmp_path.glob("*.db"))


def test_what_is_searched_is_written_into_the_sweep(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    search(LR, "model=a,b", root=tmp_path, sweep=sweep, method="random")
    assert again(sweep).facts["space"] == {
        "optimizer.lr": "tag(log, interval(0.0001, 0.1))",
        "model": "a,b",
    }


def test_a_sweep_that_goes_on_searches_what_it_has_written_down(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    first = search(LR, root=tmp_path, sweep=sweep, method="random", n_trials=3)
    later = search("a=1,2", root=tmp_path, sweep=again(sweep), method="random", n_trials=3)
    assert list(iter(first.next, None)) == list(iter(later.next, None))


@pytest.mark.parametrize(
    ("settings", "objectives", "words", "parts"),
    [
        ({}, {"val/top1": "max"}, [LR], ["optimizer.lr", "interval", "method=random"]),
        ({"study": "x"}, {"val/top1": "max"}, [LR], ["optimizer.lr", "interval", "method=random"]),
        ({"method": "random"}, {"val/top1": "max"}, [], ["nothing is searched", "from=<sweep>"]),
        ({"n_trials": 0}, {"val/top1": "max"}, ["a=1,2"], ["n_trials=0", "at least 1"]),
        ({"seed": -1}, {"val/top1": "max"}, ["a=1,2"], ["seed=-1", "at least 0"]),
        ({}, {"val/top1": "maximum"}, ["a=1,2"], ["val/top1", "maximum", "max or min"]),
        (
            {"prune": "median"},
            {"val/top1": "max", "val/loss": "min"},
            ["a=1,2"],
            ["prune=median", "name one"],
        ),
        ({"prune": "asha"}, {"test/top1": "max"}, ["a=1,2"], ["prune=asha", "test/top1", "val/loss"]),
        (
            {"prune": "hyperband", "repeat": {"seed": [0, 1]}},
            {"val/top1": "max"},
            ["a=1,2"],
            ["prune=hyperband", "repeat=seed", "leave out one"],
        ),
        ({"start_from": "latest"}, {"val/top1": "max"}, ["a=1,2"], ["start_from=latest", "no sweep"]),
    ],
)
def test_what_does_not_go_together_is_said(
    settings: dict[str, Any], objectives: dict[str, str], words: list[str], parts: list[str], tmp_path: Path
) -> None:
    with pytest.raises(Mistake) as mistake:
        search(*words, root=tmp_path, sweep=a_sweep(tmp_path, objectives=objectives), **settings)
    assert all(part in str(mistake.value) for part in parts), mistake.value


def test_folds_alone_are_one_trial(tmp_path: Path) -> None:
    trials = list(iter(search(root=tmp_path, repeat={"data.fold": [0, 1]}).next, None))
    assert [trial.overrides for trial in trials] == [()]


def test_a_range_is_narrowed_around_the_best_quarter_by_half_a_step_in_its_own_scale(tmp_path: Path) -> None:
    rates = [10 ** (-5 + 0.25 * place) for place in range(16)]
    rows = [({"lr": repr(rate)}, -abs(math.log10(rate) + 3)) for rate in rates]
    (lr,) = narrowed(earlier(tmp_path, {"lr": "tag(log, interval(1e-05, 0.1))"}, rows))
    # The best four of 16: 1e-3, its neighbours at a quarter of a decade, and the first at half a decade.
    half_a_step = 4 / 16 / 2
    assert lr.values.is_log  # type: ignore[union-attr]
    assert math.log10(lr.values.low) == pytest.approx(-3.5 - half_a_step, abs=1e-3)  # type: ignore[union-attr]
    assert math.log10(lr.values.high) == pytest.approx(-2.75 + half_a_step, abs=1e-3)  # type: ignore[union-attr]


def test_nothing_leaves_the_earlier_range(tmp_path: Path) -> None:
    rows = [({"d": repr(place / 10)}, float(place)) for place in range(10)]
    (decay,) = narrowed(earlier(tmp_path, {"d": "interval(0.0, 0.9)"}, rows))
    assert decay.values.high == 0.9  # type: ignore[union-attr]
    assert decay.values.low == pytest.approx(0.7 - 0.045)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "chosen", "expected"),
    [
        ("range(1, 20, 1)", [5, 6, 8], "range(3, 11, 1)"),
        ("range(0, 21, 4)", [8, 8, 8], "range(4, 13, 4)"),
        ("range(0.1, 0.95, 0.1)", [0.4, 0.5, 0.4], "range(0.3, 0.65, 0.1)"),
        ("tag(log, int(interval(1, 1000)))", [10, 20, 30], "tag(log, int(interval(6, 47)))"),
    ],
)
def test_steps_stay_steps(words: str, chosen: list[float], expected: str, tmp_path: Path) -> None:
    worse = [({"n": repr(chosen[0])}, -1.0)] * 5
    rows = [({"n": repr(number)}, 1.0) for number in chosen]
    found = narrowed(earlier(tmp_path, {"n": words}, [*worse, *rows]))
    assert written(found) == {"n": expected}


def test_words_among_the_best_are_left_and_failed_trials_do_not_count(tmp_path: Path) -> None:
    rows = [
        ({"model": "resnet8", "opt": "'a b'"}, 0.9),
        ({"model": "lenet5", "opt": "'a b'"}, 0.8),
        ({"model": "resnet8", "opt": "'a b'"}, 0.7),
        ({"model": "vgg", "opt": "null"}, 0.1),
        ({"model": "alexnet", "opt": "null"}, math.nan),
    ]
    found = narrowed(earlier(tmp_path, {"model": "vgg,alexnet,lenet5,resnet8", "opt": "'a b',null"}, rows))
    assert written(found) == {"model": "lenet5,resnet8", "opt": "'a b'"}


def test_folds_of_a_trial_count_by_their_mean(tmp_path: Path) -> None:
    rows = [({"n": str(place)}, 0.5) for place in (100, 900, 905, 910)]
    sweep = earlier(tmp_path, {"n": "range(0, 1001, 1)"}, rows)
    for place, first in enumerate(sweep.outcomes):
        for fold in (1, 2):
            value = {"val/top1": 0.5 if place else 0.0}
            sweep.add(replace(first, number=100 * fold + place, measures=value))
    # A trial of which not every fold has been trained does not count.
    sweep.add(replace(sweep.outcomes[0], number=999, trial=99, measures={"val/top1": 1.0}))
    # 900 to 910 are the best three; half of a quarter of the range is added.
    assert written(narrowed(sweep)) == {"n": "range(775, 1001, 1)"}


def test_with_several_objectives_those_that_none_beats_come_first(tmp_path: Path) -> None:
    rows = [({"n": str(place)}, value) for place, value in enumerate([0.1, 0.2, 0.9, 0.05, 0.04, 0.03])]
    objectives = {"val/top1": "max", "seconds": "min"}
    (found,) = narrowed(earlier(tmp_path, {"n": "range(0, 50, 1)"}, rows, objectives=objectives))
    assert found.values.high == math.ceil(2 + 49 / 6 / 2)  # type: ignore[union-attr]


def test_a_fine_sweep_takes_the_narrowed_ranges_and_what_is_typed_wins(tmp_path: Path) -> None:
    rows = [
        ({"optimizer.lr": repr(10 ** -(1 + place / 4)), "depth": "3"}, -abs(place - 6.0))
        for place in range(13)
    ]
    space = {"optimizer.lr": "tag(log, interval(0.0001, 0.1))", "depth": "range(1, 9, 1)"}
    coarse = earlier(tmp_path, space, rows, started=1.0)
    fine = a_sweep(tmp_path)
    found = search("depth=7,8", root=tmp_path, sweep=fine, method="random", start_from="latest", n_trials=12)
    chosen = [values_of(trial) for trial in iter(found.next, None)]
    assert {row["depth"] for row in chosen} == {7, 8}
    assert all(10**-2.87 < row["optimizer.lr"] < 10**-1.88 for row in chosen)
    facts = again(fine).facts
    assert facts["start_from"] == coarse.sweep_id
    # Going on does not narrow again, though the latest other sweep is another one by then.
    earlier(tmp_path, space, [({"optimizer.lr": "0.1", "depth": "3"}, 1.0)] * 4)
    later = search(
        "depth=7,8", root=tmp_path, sweep=again(fine), method="random", start_from="latest", n_trials=12
    )
    assert [values_of(trial) for trial in iter(later.next, None)] == chosen


def test_too_few_trials_or_nothing_searched_is_said(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="2 of its trials have finished, and ranges are narrowed around 3"):
        narrowed(earlier(tmp_path, {"n": "range(0, 9, 1)"}, [({"n": "1"}, 0.5)] * 2))
    with pytest.raises(Mistake, match="has searched nothing"):
        narrowed(earlier(tmp_path, {}, [({}, 0.5)] * 4))


def test_a_fine_sweep_takes_over_words_and_files_and_what_is_typed_wins(tmp_path: Path) -> None:
    facts = {
        "task": "classification",
        "words": [
            "sweep=coarse",
            "trainer.max_epochs=2",
            "seed=3",
            "+trainer.limit_val_batches=4",
            "hydra.sweeper.seed=1",
        ],
    }
    space = {"optimizer.lr": "interval(0.0, 1.0)", "model": "lenet5,resnet8"}
    coarse = earlier(tmp_path, space, [({"optimizer.lr": "0.5", "model": "lenet5"}, 0.5)], **facts)
    run = tmp_path / "outputs" / "classification" / "lenet5" / "now"
    run.mkdir(parents=True)
    choices = {
        "task": "classification",
        "model": "lenet5",
        "data": "mnist",
        "optimizer": "sgd",
        "network": None,
    }
    (run / "config.yaml").write_text(json.dumps({"choices": choices}))
    coarse.add(replace(coarse.outcomes[0], folder="outputs/classification/lenet5/now"))
    said = carried(["sweep=fine", 'hydra.sweeper.start_from="latest"', "seed=4"], root=tmp_path)
    assert said == [
        "sweep=fine",
        "seed=4",
        f'hydra.sweeper.start_from="{coarse.sweep_id}"',
        "++hydra.sweeper.objectives={val/top1: max}",
        "task=classification",
        "data=mnist",
        "optimizer=sgd",
        "+trainer.limit_val_batches=4",
    ]
    assert carried(said, root=tmp_path) == [*said[:2], *said[3:], said[2]]
    assert carried(["seed=4"], root=tmp_path) == ["seed=4"]
    typed = ["++hydra.sweeper.objectives={seconds: min}", 'hydra.sweeper.start_from="latest"']
    assert [word for word in carried(typed, root=tmp_path) if "objectives" in word] == typed[:1]
    other = ["task=detection", typed[1]]
    assert not [word for word in carried(other, root=tmp_path) if "objectives" in word], "has other measures"
