"""A sweep that goes on takes up what it had begun, and one that is refused leaves nothing behind."""

import logging
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Mistake
from pipeline.sweeps import remains, sweeping
from pipeline.sweeps.jobs import Trial
from pipeline.sweeps.storages import STORAGE
from tests.pipeline.searching import LR, a_sweep, again, result, search
from tests.pipeline.sweeps import PLAIN, Stage, staged

RATES = "optimizer.lr=0.1,0.01,0.001"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return staged(tmp_path, monkeypatch)


class Parent:
    """Stands for the run of a sweep in MLflow, and remembers what it was told."""

    run_id = "5eed" + "0" * 28
    address = "nowhere"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def attach(self, folder: Path) -> None:
        self.calls.append("attach")

    def told(self, result: Any, *, done: int, best: Any) -> None:
        pass

    def finish(self, status: str, *, remains: Any = None) -> None:
        self.calls.append(status)


def parents_of(stage: Stage) -> list[Parent]:
    """Every run of a sweep that is opened in MLflow from here on."""
    opened: list[Parent] = []

    def open_parent(wanted: Any, *, resume_id: str | None) -> Parent:
        opened.append(Parent())
        return opened[-1]

    stage.monkeypatch.setattr(sweeping, "open_parent", open_parent)
    return opened


@pytest.mark.parametrize(
    "words", ["range(5,1,-1)", "shuffle(range(0,30))", "shuffle(0,1,2,3,4,5,6,7,8,9)", "1,1,2", "'b, c',a"]
)
def test_a_grid_goes_on_with_the_same_values_under_the_same_numbers(words: str, tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    first = search(f"a={words}", "b=2,1", root=tmp_path, sweep=sweep)
    later = search(f"a={words}", "b=2,1", root=tmp_path, sweep=again(sweep))
    trials = list(iter(first.next, None))
    assert trials == list(iter(later.next, None)) and len(trials) == first.total == later.total
    if words.startswith("range"):
        assert [trial.overrides[0] for trial in trials[::2]] == ["a=5", "a=4", "a=3", "a=2"], "as typed"
    if words == "1,1,2":
        assert len(trials) == 6


def test_measures_of_other_words_are_not_taken(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert stage.run(*PLAIN, RATES) == 0
    path = stage.sweep.folder / "jobs.jsonl"
    path.write_text(path.read_text().replace("optimizer.lr=0.01", "optimizer.lr=0.5"))
    assert stage.run("resume=latest") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "job 1 of sweep" in told and "optimizer.lr=0.5, and would now be optimizer.lr=0.01" in told
    assert len(stage.calls()) == 3


def test_a_choice_of_one_word_goes_on(stage: Stage) -> None:
    assert stage.run(*PLAIN, "seed=choice(3)", "data.batch_size=16,32") == 0
    assert stage.sweep.facts["space"]["seed"] == "3"
    assert stage.run("resume=latest") == 0 and len(stage.calls()) == 2


def test_without_its_storage_a_sweep_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORAGE, f"sqlite:///{tmp_path / 'ours.db'}")
    sweep = a_sweep(tmp_path)
    asked = search(LR, root=tmp_path, sweep=sweep, method="tpe", n_trials=2)
    first = asked.next()
    assert isinstance(first, Trial)
    asked.told(result(first, top1=0.5))
    recorded = again(sweep).facts["storage"]
    monkeypatch.delenv(STORAGE)
    with pytest.raises(Mistake, match=f"{recorded}: set the environment variable OPTUNA_STORAGE"):
        search(LR, root=tmp_path, sweep=again(sweep), method="tpe", n_trials=2)
    assert again(sweep).facts["storage"] == recorded
    # A project that was moved has its file elsewhere, with the study in it.
    moved = tmp_path / "moved"
    moved.mkdir()
    here, there = (sqlite3.connect(path) for path in (tmp_path / "ours.db", moved / "optuna.db"))
    with closing(here), closing(there):
        here.backup(there)
    assert search(LR, root=moved, sweep=again(sweep), method="tpe", n_trials=2).next() == first


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("model=lenet5,resnet8", "hydra.sweeper.method=cmaes"), "cmaes"),
        ((RATES, "hydra.sweeper.method=tpe", "hydra.sweeper.storage=nonsense://host"), "cannot be used"),
        (("optimizer.lr=tag(mine,interval(0.1,1))", "hydra.sweeper.method=random"), "tag(mine"),
    ],
)
def test_a_search_that_is_refused_leaves_no_run_in_mlflow(
    words: tuple[str, ...], right: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = parents_of(stage)
    assert stage.run(*PLAIN, *words) == 2
    assert right in capsys.readouterr().err
    assert opened == [] and stage.calls() == {}


def test_a_study_of_others_is_looked_at_before_anything_is_there(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = parents_of(stage)
    words = ("hydra.sweeper.method=tpe", "hydra.sweeper.study=shared", "hydra.sweeper.n_trials=1")
    assert stage.run(*PLAIN, RATES, *words) == 0
    assert stage.run(*PLAIN, "seed=1,2", *words) == 2
    assert "searches" in capsys.readouterr().err and len(opened) == 1


def test_the_run_of_a_sweep_that_cannot_go_on_yet_stays_as_it_is(stage: Stage) -> None:
    opened = parents_of(stage)
    words = ("hydra.sweeper.method=tpe", "hydra.sweeper.n_trials=1")
    assert stage.run(*PLAIN, "seed=1,2", *words) == 0
    stage.monkeypatch.setenv(STORAGE, "nonsense://host")
    assert stage.run("resume=latest") == 2
    assert [parent.calls for parent in opened] == [["attach", "FINISHED"], []]


def test_a_report_that_cannot_be_written_costs_no_sweep_its_end(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    opened = parents_of(stage)

    def broken(sweep: Any, results: Any, *, root: Path) -> None:
        raise RuntimeError("no more room")

    stage.monkeypatch.setattr(remains, "write_remains", broken)
    with caplog.at_level(logging.WARNING):
        assert stage.run(*PLAIN, "hydra.sweeper.n_trials=1", RATES) == 0
    assert stage.sweep.facts["status"] == "FINISHED" and opened[0].calls == ["attach", "FINISHED"]
    assert "RuntimeError: no more room" in caplog.text


def test_objectives_and_repetitions_that_are_typed_replace_those_of_a_file(stage: Stage) -> None:
    folder = stage.root / "conf" / "sweep"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n"
        "    objectives: {val/top1: max, seconds: min}\n    repeat: {data.fold: [0, 1, 2]}\n"
    )
    shared = ["--config-dir", str(folder.parent), *PLAIN, "sweep=mine", "optimizer.lr=0.1,0.01"]
    stage.tell({number: {"measures": {"val/loss": 0.5, "val/top1": 0.5}} for number in range(4)})
    typed = ["hydra.sweeper.objectives={val/loss: min}", "hydra.sweeper.repeat={seed: [4, 5]}"]
    stage.monkeypatch.setattr(sys, "argv", ["pipeline.train", *shared, *typed])
    from pipeline import compose, train

    assert compose.run_verb(verb="train", start=train._start) == 0
    assert stage.sweep.objectives == {"val/loss": "min"} and len(stage.calls()) == 4
    assert stage.sweep.facts["repeat"] == {"seed": [4, 5]}
    assert stage.run("resume=latest") == 0 and len(stage.calls()) == 4
