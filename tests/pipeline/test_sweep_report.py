"""What is left of a sweep: its table, its best trials as experiment files, what is said of it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from pipeline.compose import CONF, compose_plain
from pipeline.sweeps import experiment
from pipeline.sweeps.best import front, ranked
from pipeline.sweeps.experiment import experiment_text, write_experiment
from pipeline.sweeps.folder import Sweep
from pipeline.sweeps.importance import importances
from pipeline.sweeps.jobs import Result
from pipeline.sweeps.remains import train_command, write_remains
from pipeline.sweeps.report import last_panel
from pipeline.sweeps.varied import Axis, axes_of, brief, short_keys, values_of
from tests.commands import run_verb
from tests.pipeline.sweeps_made_up import ID, made_up, made_up_sweep

MAX = {"val/top1": "max"}


def tops(*values: float) -> list[Result]:
    return [
        made_up(number, f"optimizer.lr={10.0**-number}", goals=[{"val/top1": value}])
        for number, value in enumerate(values)
    ]


def said(sweep: Sweep, results: list[Result], root: Path) -> str:
    """The last panel as it stands on a wide terminal."""
    remains = write_remains(sweep, results, root=root)
    board = Console(file=io.StringIO(), width=160)
    board.print(last_panel(sweep, results, root=root, remains=remains, address="http://here"))
    assert isinstance(board.file, io.StringIO)
    return board.file.getvalue()


def test_only_what_differs_is_an_axis_on_its_own_scale() -> None:
    words = ("data.batch_size=16", "optimizer.lr=1e-05", "model=lenet5", "trainer.max_epochs=3", "a.b=true")
    other = ("data.batch_size=32", "optimizer.lr=0.1", "model='8'", "trainer.max_epochs=3", "a.b=false")
    axes = axes_of([made_up(0, *words), made_up(1, *other)], space={})
    assert [(axis.name, axis.values, axis.scale) for axis in axes] == [
        ("data.batch_size", (16, 32), "linear"),
        ("optimizer.lr", (1e-5, 0.1), "log"),
        ("model", ("lenet5", "8"), "category"),
        ("a.b", ("true", "false"), "category"),
    ]
    narrow = [made_up(0, "optimizer.lr=0.1"), made_up(1, "optimizer.lr=0.2")]
    assert axes_of(narrow, space={})[0].scale == "linear"
    assert axes_of(narrow, space={"optimizer.lr": "tag(log, interval(0.1, 0.2))"})[0].scale == "log"


def test_values_are_read_as_hydra_reads_them() -> None:
    words = ["a=1", "+b=1e-3", "c='1e-3'", "++d=[1,2]", "e=null", "a=2"]
    assert values_of(words) == {"a": 2, "b": 0.001, "c": "1e-3", "d": "[1, 2]", "e": "null"}


def test_keys_are_as_short_as_they_can_be_told_apart() -> None:
    keys = ["optimizer.lr", "head.lr", "model", "a.model", "task.losses.dice"]
    assert short_keys(keys) == {
        "optimizer.lr": "optimizer.lr",
        "head.lr": "head.lr",
        "model": "model",
        "a.model": "a.model",
        "task.losses.dice": "dice",
    }


def test_a_trial_has_a_name_that_can_be_read() -> None:
    words = ("optimizer.lr=0.0035344346158129535", "model@model.network=lenet5", "a.b=1", "c.b=2")
    assert brief(words) == "lr=0.00353 network=lenet5 a.b=1 c.b=2"
    assert brief(words, longest=10) == "lr=0.0035…"


def test_the_best_come_first_and_of_equals_the_earlier() -> None:
    results = [*tops(0.5, 0.9, 0.9, 0.1), made_up(4, "x=1", status="FAILED")]
    assert [result.trial.number for result in ranked(results, MAX)] == [1, 2, 0, 3]
    assert [result.trial.number for result in ranked(results, {"val/top1": "min"})] == [3, 0, 1, 2]


def test_the_front_is_what_nobody_beats_in_everything() -> None:
    random = np.random.default_rng(0)
    goals = [
        (place % 7, (place % 7) ** 2 + int(more)) for place, more in enumerate(random.integers(0, 9, 40))
    ]
    results = [made_up(place, "x=1", goals=[{"a": one, "b": two}]) for place, (one, two) in enumerate(goals)]
    expected = set()  # the slow way: no other is at least as good in both and better in one
    for place, (one, two) in enumerate(goals):
        beaten = [a >= one and b <= two and (a, b) != (one, two) for a, b in goals]
        expected |= set() if any(beaten) else {place}
    found = front(results, {"a": "max", "b": "min"})
    assert {result.trial.number for result in found} == expected
    assert 1 < len(expected) < 40


def forest_of(scale: str, values: list[float], other: list[float], goals: list[float]) -> dict[str, float]:
    axes = [
        Axis(name="lr", values=tuple(values), scale="log" if scale == "log" else "linear"),
        Axis(name="model", values=tuple("ab"[int(one)] for one in other), scale="category"),
    ]
    return importances(axes, goals)


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_importance_agrees_with_the_analysis_of_variance(scale: str) -> None:
    random = np.random.default_rng(1)
    exponent, model = random.uniform(-4, -1, 100), random.integers(0, 2, 100)
    goals = 2 * exponent + 1.5 * model
    # Independent effects: their variances, of a uniform one over 3 decades and of a fair coin.
    expected = (2**2 * 9 / 12) / (2**2 * 9 / 12 + 1.5**2 / 4)
    lr = 10**exponent if scale == "log" else exponent
    found = forest_of(scale, list(lr), list(model), list(goals))
    assert list(found) == ["lr", "model"]
    assert found["lr"] == pytest.approx(expected, abs=0.05)
    assert sum(found.values()) == pytest.approx(1)


def test_nothing_is_said_of_few_trials_or_of_equal_ones() -> None:
    lr, model = [0.1, 0.2, 0.3, 0.4], [0.0, 1.0, 0.0, 1.0]
    assert forest_of("linear", lr, model, [1.0, 2.0, 3.0, 4.0])
    assert forest_of("linear", lr[:3], model[:3], [1.0, 2.0, 3.0]) == {}
    assert forest_of("linear", lr, model, [1.0] * 4) == {}
    assert forest_of("linear", lr, model, [1.0, 2.0, 3.0, float("nan")]) == {}


WORDS = {
    "values": (["trainer.max_epochs=3"], ["optimizer.lr=1e-05", "data.batch_size=16"]),
    "groups": (["task=detection", "scheduler=constant"], ["model=ssd300", "optimizer=sgd"]),
    "inside": (["task=verification"], ["network=lenet5", "model=siamese_contrastive"]),
    "features": (["task=style_transfer"], ["features=run:12345678", "task.style_weight=3"]),
    "texts": (["+data.note='1e5'"], ["+data.words=[a,'b c',null,true]", "++data.more={x:1,y:'2'}"]),
    "experiment": (["experiment=digits_lenet5"], ["trainer.max_epochs=2"]),
    "over an experiment": (["experiment=digits_lenet5"], ["model=resnet18", "optimizer.lr=1"]),
    "nothing left": (["scheduler=constant"], ["optimizer.lr=0.5", "~debug"]),
    "not the sweep": (
        ["--multirun", "-cd", "/somewhere", "hydra.sweeper.method=random", "seed=1,2", "from=latest"],
        ["optimizer.lr=0.5"],
    ),
}


def plain(words: list[str]) -> dict[str, Any]:
    """What words compose to, without the name of the file that said them."""
    config = compose_plain(verb="train", overrides=words)
    for name in ("experiment", "sweep"):
        config["choices"].pop(name, None)
    return config


@pytest.mark.parametrize("case", WORDS)
def test_the_best_composes_to_what_its_words_compose_to(case: str, tmp_path: Path) -> None:
    fixed, chosen = WORDS[case]
    text = experiment_text(fixed=fixed, chosen=chosen, header=["a line"])
    path = write_experiment(tmp_path / "experiment" / "best.yaml", text)
    assert path.read_text().startswith("# @package _global_\n# a line\n")
    of_job = [word for word in [*fixed, *chosen] if not word.startswith(("-", "/", "hydra", "seed", "from"))]
    by_file = plain([f"hydra.searchpath=[file://{tmp_path}]", "experiment=best"])
    assert by_file == plain(of_job)
    assert by_file != plain([])


def test_what_a_file_of_sweeps_says_of_its_runs_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "conf" / "sweep"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(
        "# @package _global_\n"
        "defaults: [{override /model: lenet5}, {override /hydra/launcher: basic}]\n"
        "hydra: {mode: MULTIRUN, sweeper: {method: random}}\n"
        "trainer: {max_epochs: 7, limit_train_batches: 3}\n"
        "optimizer: {lr: 1e-3}\n"
    )
    monkeypatch.setattr(experiment, "CONF", tmp_path / "conf")
    text = experiment_text(fixed=["sweep=mine", "trainer={max_epochs:2}"], chosen=["data.fold=1"], header=[])
    content = yaml.safe_load(text)
    assert content["defaults"] == [{"override /model": "lenet5"}]
    assert "hydra" not in content
    assert content["trainer"] == {"max_epochs": 2, "limit_train_batches": 3}
    assert float(content["optimizer"]["lr"]) == 0.001


def test_a_sweep_from_a_folder_of_ones_own_is_trained_again_from_there(tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "sweep").mkdir(parents=True)
    (own / "sweep" / "mine.yaml").write_text("# @package _global_\ntrainer: {max_epochs: 7}\n")
    (own / "optimizer").mkdir()
    text = (CONF / "optimizer" / "sgd.yaml").read_text().replace("0.9", "0.123")
    (own / "optimizer" / "slow.yaml").write_text(text)
    results = [made_up(0, "optimizer=slow")]
    flags = ["--config-dir", str(own)]
    sweep = made_up_sweep(tmp_path, results, words=["sweep=mine"], flags=flags)
    write_remains(sweep, results, root=tmp_path)
    command = train_command(sweep, root=tmp_path)
    assert command in (sweep.folder / "experiment" / "best.yaml").read_text()
    words = command.removeprefix("make train ").replace('ARGS="', "").replace('"', "").split()
    shown = run_verb("train", *words, "--cfg", "job", root=tmp_path)
    assert shown.code == 0, shown.err
    assert "momentum: 0.123" in shown.out and "max_epochs: 7" in shown.out


def test_files_of_sweeps_are_looked_for_wherever_hydra_would(tmp_path: Path) -> None:
    """One that starts from another, both in a folder of hydra.searchpath."""
    own = tmp_path / "own dir" / "sweep"
    own.mkdir(parents=True)
    (own / "wide.yaml").write_text(
        "# @package _global_\ndefaults: [{override /model: resnet8}, {override /optimizer: adamw}]\n"
        "trainer: {max_epochs: 7}\nseed: 11\n"
    )
    (own / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [wide, {override /model: lenet5}]\ntrainer: {max_epochs: 9}\n"
    )
    words = [f"hydra.searchpath=['file://{own.parent}']", "sweep=mine"]
    results = [made_up(0, "optimizer.lr=0.5")]
    sweep = made_up_sweep(tmp_path, results, words=words, fixed=["sweep=mine"])
    write_remains(sweep, results, root=tmp_path)
    content = yaml.safe_load((sweep.folder / "experiment" / "best.yaml").read_text())
    assert content["trainer"] == {"max_epochs": 9} and content["seed"] == 11
    by_file = plain([f"hydra.searchpath=['file://{sweep.folder}']", "experiment=best"])
    assert by_file == plain([*words, "optimizer.lr=0.5"])
    assert f"hydra.searchpath=[file://{own.parent}]" in train_command(sweep, root=tmp_path)


def test_a_file_of_sweeps_that_is_not_found_is_left_to_be_typed() -> None:
    text = experiment_text(fixed=["sweep=packed"], chosen=["optimizer.lr=0.5"], header=[])
    assert "type it too: sweep=packed hydra.mode=RUN" in text
    assert "type it too" not in experiment_text(fixed=["sweep=null"], chosen=["optimizer.lr=0.5"], header=[])


def test_the_best_is_trained_by_the_command_in_its_comment(tmp_path: Path) -> None:
    results = [
        made_up(0, "model=lenet5", "optimizer.lr=0.1", goals=[{"val/top1": 0.4}]),
        made_up(1, "model=resnet8", "optimizer.lr=0.01", goals=[{"val/top1": 0.6}]),
    ]
    sweep = made_up_sweep(tmp_path, results, words=["model=lenet5,resnet8", "trainer.max_epochs=3"])
    write_remains(sweep, results, root=tmp_path)
    text = (sweep.folder / "experiment" / "best.yaml").read_text()
    command = f'make train ARGS="--config-dir outputs/sweeps/{sweep.folder.name}" experiment=best'
    assert command in text and "val/top1 0.6; trial 1" in text and f"sweep {ID[:8]}" in text
    words = ["--config-dir", f"outputs/sweeps/{sweep.folder.name}", "experiment=best", "--cfg", "job"]
    by_file = run_verb("train", *words, root=tmp_path)
    by_words = run_verb(
        "train", "model=resnet8", "optimizer.lr=0.01", "trainer.max_epochs=3", "--cfg", "job", root=tmp_path
    )
    assert by_file.code == by_words.code == 0, by_file.err
    differing = set(by_file.out.splitlines()) ^ set(by_words.out.splitlines())
    assert not {line for line in differing if "hydra:" not in line}


def test_a_password_is_written_nowhere(tmp_path: Path) -> None:
    results = tops(0.5, 0.6)
    words = ["optimizer.lr=1,0.1", "hydra.sweeper.storage=postgresql://me:secret@there/db"]
    sweep = made_up_sweep(tmp_path, results, words=words)
    remains = write_remains(sweep, results, root=tmp_path)
    texts = [path.read_text() for path in remains.files if path.suffix != ".png"]
    assert any("postgresql://there/db" in text for text in texts)
    assert not any("secret" in text for text in texts)


def test_the_table_has_a_row_for_each_trial(tmp_path: Path) -> None:
    results = [
        made_up(2, "optimizer.lr=3", status="PRUNED"),
        made_up(0, "optimizer.lr=1"),
        made_up(1, "optimizer.lr=2", status="FAILED"),
    ]
    sweep = made_up_sweep(tmp_path, results)
    write_remains(sweep, results, root=tmp_path)
    rows = list(csv.DictReader((sweep.folder / "table.csv").open()))
    assert [(row["trial"], row["status"], row["optimizer.lr"], row["val/top1"]) for row in rows] == [
        ("0", "FINISHED", "1", "0.5"),
        ("1", "FAILED", "2", ""),
        ("2", "PRUNED", "3", ""),
    ]
    assert [row["seconds"] for row in rows] == ["10.0", "11.0", "12.0"]
    assert rows[0]["run_id"] == results[1].outcomes[0].run_id
    table = json.loads((sweep.folder / "table.json").read_text())
    assert table["columns"] == ["trial", "status", "lr", "val/top1", "seconds", "run_id"]
    assert [row[0] for row in table["data"]] == [0, 1, 2]


def test_no_heading_of_mlflows_table_has_a_dot(tmp_path: Path) -> None:
    results = [made_up(number, f"head.lr={number}", f"body.lr={number}") for number in range(2)]
    sweep = made_up_sweep(tmp_path, results)
    write_remains(sweep, results, root=tmp_path)
    table = json.loads((sweep.folder / "table.json").read_text())
    assert table["columns"] == ["trial", "status", "head_lr", "body_lr", "val/top1", "seconds", "run_id"]


def test_the_panel_names_the_best_the_failed_and_what_is_next(tmp_path: Path) -> None:
    failed = made_up(7, "optimizer.lr=9.0", status="FAILED", message="val/top1 is not a number")
    results = [*tops(0.5, 0.91, 0.7, 0.6, 0.2), failed]
    sweep = made_up_sweep(tmp_path, results)
    text = said(sweep, results, tmp_path)
    assert "6 trials: 5 finished, 1 failed" in text
    assert "trial 7 (lr=9): val/top1 is not a number" in text
    assert "val/top1 0.9100 (max)" in text
    assert text.index("0.9100") < text.index("0.7000") < text.index("0.2000")
    for command in (
        f'--config-dir outputs/sweeps/{sweep.folder.name}" experiment=best',
        "make compare sweep=5eed0000",
        "make sweep sweep=fine from=5eed0000",
        "make ui",
    ):
        assert command in text
    assert "make sweep resume" not in text


def test_the_panel_of_two_objectives_names_the_front(tmp_path: Path) -> None:
    goals = [{"a": 0.5, "b": 1.0}, {"a": 0.9, "b": 3.0}, {"a": 0.4, "b": 2.0}]
    results = [made_up(number, f"x={number}", goals=[one]) for number, one in enumerate(goals)]
    sweep = made_up_sweep(tmp_path, results, objectives={"a": "max", "b": "min"}, words=[])
    assert "no other beats trial 1, 0: experiment=trial_1" in said(sweep, results, tmp_path)
    files = {path.name for path in (sweep.folder / "experiment").iterdir()}
    assert files == {"best.yaml", "trial_0.yaml", "trial_1.yaml"}


def test_the_panel_of_an_interrupted_sweep_says_how_it_goes_on(tmp_path: Path) -> None:
    results = [made_up(0, "optimizer.lr=1.0", status="KILLED")]
    text = said(made_up_sweep(tmp_path, results, status="KILLED"), results, tmp_path)
    assert "make sweep resume=5eed0000" in text
    assert "no trial has finished" in text
    assert "experiment=best" not in text and "interrupted" in text


def test_the_panel_of_repeated_trials_has_their_deviation(tmp_path: Path) -> None:
    folds = [{"val/top1": 0.5}, {"val/top1": 0.7}]
    results = [made_up(0, "model=lenet5", goals=folds), made_up(1, "model=resnet8", goals=folds)]
    assert "0.6000 ± 0.1414" in said(made_up_sweep(tmp_path, results), results, tmp_path)
