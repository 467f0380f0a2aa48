"""Leaderboards of made-up runs against numbers by hand."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from pipeline.comparing.columns import board_columns
from pipeline.comparing.terminal import show
from pipeline.compose import compose_plain
from pipeline.errors import Mistake
from pipeline.sweeps.folder import Sweep
from pipeline.sweeps.jobs import Outcome
from tests.pipeline.compared import board, chosen, made_run

TOP1 = {"a": [0.90, 0.94, 0.95], "b": [0.91, 0.94, 0.97]}


def printed(root: Path, *, width: int = 200, top: int = 20, **which: object) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    show(board(root, **which), top=top, console=console)
    return console.export_text()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two learning rates with three seeds each, of which the second is better."""
    for number, (lr, values) in enumerate(zip((0.1, 0.01), TOP1.values(), strict=True)):
        for seed, value in enumerate(values):
            found = {"test/top1": value, "val/top1": 1 - value, "test/loss": 2 * value}
            made_run(tmp_path, 10 * number + seed, lr=lr, seed=seed, measures=found, parameters=1000)
    return tmp_path


def test_seeds_are_one_row_with_mean_and_deviation(root: Path) -> None:
    found = board(root)
    assert [group.first.values["optimizer.lr"] for group in found.groups] == ["0.01", "0.1"]
    for group, values in zip(found.groups, (TOP1["b"], TOP1["a"]), strict=True):
        assert group.mean("test/top1") == pytest.approx(np.mean(values))
        assert group.deviation("test/top1") == pytest.approx(np.std(values, ddof=1))
        assert group.over == "3 seeds" and group.mean("parameters") == 1000
    assert found.sort == "test/top1" and dict(found.keys) == {"optimizer.lr": "lr"}
    text = printed(root)
    assert "0.9400 ± 0.0300" in text and "3 seeds" in text and "1 k" in text


def test_two_named_runs_are_never_one_row(root: Path) -> None:
    names = [f"{number:08x}" for number in (0, 1)]
    found = board(root, runs=names)
    assert len(found.groups) == 2 and list(found.keys) == ["seed"]
    assert len(board(root, runs=[*names, f"{2:08x}"]).groups) == 1


def test_rows_are_ordered_by_any_measure_or_cost_in_its_own_direction(root: Path) -> None:
    made_run(root, 99, lr=1.0, measures={"val/top1": 0.5}, parameters=10)
    assert [group.first.name for group in board(root).groups][-1] == f"{99:08x}"  # was not tested
    assert board(root, sort="loss").groups[0].first.values["optimizer.lr"] == "0.1"  # less is better
    assert board(root, sort="val/top1").groups[0].first.name == f"{99:08x}"
    assert board(root, sort="parameters").groups[0].first.name == f"{99:08x}"
    assert list(board(root, metrics=["loss"]).measures) == ["test/loss"]


def test_what_no_run_has_is_a_mistake_with_the_nearest_word(root: Path) -> None:
    with pytest.raises(Mistake, match=r"sort=tpo1: none of the runs has it; did you mean 'top1'"):
        board(root, sort="tpo1")
    with pytest.raises(Mistake, match=r"metrics=secnods: .*'seconds'|metrics=secnods: .*there are"):
        board(root, metrics=["secnods"])


def test_folds_are_one_row_too(tmp_path: Path) -> None:
    for fold in range(3):
        for seed in range(2):
            number = 10 * fold + seed
            made_run(tmp_path, number, seed=seed, fold=fold, measures={"test/top1": 0.1 * number})
    (group,) = board(tmp_path).groups
    assert group.over == "2 seeds × 3 folds"
    assert group.mean("test/top1") == pytest.approx(np.mean([0, 0.1, 1, 1.1, 2, 2.1]))


def test_without_folds_their_number_is_a_setting_like_any_other(tmp_path: Path) -> None:
    for number, fold in enumerate((0, 1)):
        made_run(
            tmp_path, number, measures={"test/top1": 0.5}, config={"data": {"num_folds": None, "fold": fold}}
        )
    assert len(board(tmp_path).groups) == 2


def test_of_the_same_seed_the_later_run_counts(tmp_path: Path) -> None:
    for number, value in enumerate((0.2, 0.8)):
        made_run(tmp_path, number, measures={"test/top1": value})
    made_run(tmp_path, 5, lr=0.2, measures={"test/top1": 0.1})
    found = board(tmp_path)
    assert found.groups[0].mean("test/top1") == 0.8 and math.isnan(found.groups[0].deviation("test/top1"))
    assert "1 earlier run with the same configuration and seed" in " ".join(found.notes)


def test_what_has_not_finished_is_counted(root: Path) -> None:
    for number, status in enumerate(("FAILED", "FAILED", "RUNNING", "KILLED"), 50):
        made_run(root, number, measures={"test/top1": 1.0}, status=status)
    made_run(root, 60, measures=None)
    made_run(root, 61, measures={"test/top1": 1.0}, pruned=True)
    made_run(root, 62, measures={"test/top1": None})
    found = board(root)
    assert len(found.groups) == 2
    counted = "2 failed, 1 running, 1 killed, 2 without measures, 1 pruned"
    assert found.notes == [f"not in the table: {counted}"]
    assert counted in printed(root)


def test_only_keys_that_differ_are_shown_and_copies_are_not(tmp_path: Path) -> None:
    """Of real configurations: a model brings dozens of values of its own."""
    for number, words in enumerate(
        (
            ["model=lenet5", "optimizer=sgd", "trainer.max_epochs=3"],
            ["model=resnet8", "transforms=heavy"],
            ["model=lenet5", "data.image_size=64", "task.monitor=val/loss", "task.mode=min"],
        )
    ):
        overrides = ["task=classification", *words]
        config = compose_plain(verb="train", overrides=overrides)
        made_run(tmp_path, number, model="x", measures={"test/top1": 0.5}, words=words, config=config)
    names = list(board(tmp_path).keys.values())
    assert names[:3] == ["model", "optimizer", "transforms"]
    assert sorted(names[3:]) == ["image_size", "lr", "max_epochs", "mode", "monitor"]


def test_names_are_as_short_as_they_can_be(tmp_path: Path) -> None:
    for number in range(2):
        values = {"lr": number, "copy": number}
        config = {"a": values, "b": values, "c": {"depth": 5 + number}}
        made_run(
            tmp_path,
            number,
            measures={"test/top1": 0.5},
            config=config,
            words=["c.depth=1", "+a.lr=1", "b.lr=1"],
        )
    assert dict(board(tmp_path).keys) == {"a.lr": "a.lr", "b.lr": "b.lr", "c.depth": "depth"}


def test_averages_and_ensembles_are_rows_of_their_own(root: Path) -> None:
    made_run(root, 70, lr=0.1, measures={"test/top1": 0.99}, average={"which": "best_k"})
    made_run(root, 72, lr=0.1, seed=1, measures={"test/top1": 0.97}, average={"which": "best_k"})
    made_run(root, 71, lr=0.1, measures={"test/top1": 0.98}, ensemble={"fusion": "mean_probability"})
    found = board(root)
    labels = [found.label(group) for group in found.groups]
    assert labels == [
        "average (best_k) lr=0.1",
        "mean_probability lr=0.1",
        "average (best_k) lr=0.1",
        "lr=0.01",
        "lr=0.1",
    ]


@pytest.mark.parametrize(
    ("facts", "config", "said"),
    [
        ({"data": {"digest": "abc", "sizes": {"test": 5}}}, {}, "digest"),
        ({"data": {"digest": "xyz", "sizes": {"test": 6}}}, {}, "test images"),
        ({}, {"data": {"split_seed": 1}}, "split_seed"),
        ({}, {"choices": {"task": "classification", "data": "mnist"}}, "mnist"),
    ],
)
def test_other_data_are_warned_of(root: Path, facts: dict, config: dict, said: str) -> None:
    made_run(root, 80, measures={"test/top1": 0.5}, data={"digest": "xyz", "sizes": {"test": 5}})
    assert board(root).warnings == []
    made_run(root, 81, lr=0.5, measures={"test/top1": 0.5}, **facts, config=config)
    (warning,) = board(root).warnings
    assert said in warning and "cannot be compared" in warning


def test_a_loss_that_is_summed_otherwise_is_noted(tmp_path: Path) -> None:
    for number in range(2):
        task = {"monitor": "val/loss", "mode": "min", "style_weight": number}
        made_run(tmp_path, number, measures={"test/loss": 0.5}, config={"task": task})
    assert "task.style_weight" in board(tmp_path).notes[0]


def test_costs_come_from_the_run_or_its_history(tmp_path: Path) -> None:
    made_run(tmp_path, 0, measures={"test/top1": 0.5}, history=(0.1, 0.2, 0.3), images_per_second=1234.0)
    made_run(tmp_path, 1, lr=0.2, measures={"test/top1": 0.4}, history=(0.1,), seconds=100.0)
    found = board(tmp_path)
    assert [group.mean("seconds") for group in found.groups] == [6.0, 100.0]
    cells = {column.title: list(column.cells) for column in board_columns(found, found.groups)}
    assert cells["time"] == ["6 s", "1:40"] and cells["images/s"] == ["1.23 k", ""]
    assert "GiB" not in cells


def test_a_narrow_terminal_keeps_what_matters(root: Path) -> None:
    text = printed(root, width=60)
    assert "test/top1" in text and "0.9400 ± 0.0300" in text
    assert "in the page: test/loss" in text.replace("\n", " ") and "started" in text
    assert max(map(len, text.splitlines())) <= 60
    assert "1 more row; top=2 shows all" in printed(root, top=1)


def test_a_sweep_is_its_jobs(root: Path) -> None:
    folder = root / "outputs" / "sweeps" / "2026-01-02_abcd"
    folder.mkdir(parents=True)
    facts = {"sweep_id": "abcd" * 8, "started": 1.0, "objectives": {"val/top1": "max"}}
    sweep = Sweep(folder=folder, facts={}).update(**facts)

    def add(number: int, status: str, run: str | None) -> None:
        where = f"outputs/classification/lenet5/2026-01-01_00-00-00_{run}" if run else None
        rest = {"overrides": (), "code": 0, "run_id": run, "measures": {}, "seconds": 1.0}
        sweep.add(Outcome(number=number, trial=number, status=status, folder=where, **rest))

    add(0, "FAILED", None)
    with pytest.raises(Mistake, match=r"no job of sweep abcdabcd has finished \(1 failed\)"):
        chosen(root, sweep_name="latest")
    add(1, "FINISHED", f"{0:08x}")
    add(2, "FINISHED", f"{10:08x}")
    add(3, "PRUNED", f"{11:08x}")
    add(4, "FINISHED", f"{0xDEAD:08x}")
    found = board(root, sweep_name="abcd")
    assert [group.first.name for group in found.groups] == [f"{0:08x}", f"{10:08x}"]  # by what it looked for
    assert list(found.measures) == ["val/top1", "test/loss", "test/top1"]
    assert found.notes == ["not in the table: 1 failed, 1 pruned, 1 gone"]


def test_whom_a_person_means(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    made_run(root, 200, task="detection", measures={"test/map": 0.5}, model="fcos")
    assert chosen(root).task == "detection"  # of the latest run
    assert len(chosen(root, task_name="classification").runs) == 6
    first, other = f"{0:08x}", f"{200:08x}"
    for which, message in (
        ({"runs": [first]}, r"runs=\[00000000\]: a comparison needs two"),
        ({"runs": [first, "zzzz"]}, "runs=zzzz: no run has this id"),
        ({"runs": [first, first]}, "names run 00000000 twice"),
        ({"runs": [first, other]}, "is of task=detection"),
        ({"task_name": "detecton"}, "did you mean 'detection'"),
        ({"task_name": "detection", "sweep_name": "latest"}, "task=detection and sweep=latest are given"),
        ({"sweep_name": "latest"}, "there is no sweep"),
    ):
        with pytest.raises(Mistake, match=message):
            chosen(root, **which)
    made_run(root, 201, measures=None, status="FAILED")
    with pytest.raises(Mistake, match="run 000000c9 cannot be compared: it is failed"):
        chosen(root, runs=[first, "000000c9"])
    with pytest.raises(Mistake, match="`make train` makes one"):
        chosen(tmp_path_factory.mktemp("empty"))
