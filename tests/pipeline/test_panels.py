"""The panels before and after a run, as people read them."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from pipeline.panels import (
    RunFacts,
    RunResult,
    first_panel,
    last_panel,
    shown_address,
    shown_number,
    shown_path,
    shown_time,
)

FACTS = RunFacts(
    task="classification",
    model="lenet5",
    parameters=61706,
    trainable_parameters=61706,
    multiply_adds=416520,
    data="digits",
    sizes={"train": 1078, "val": 359, "test": 360},
    class_counts=[100, 121, 110],
    class_names=["zero", "one", "two"],
    batch_size=64,
    learning_rate=0.001,
    optimizer="adamw",
    scheduler="cosine",
    epochs=30,
    device="CPU, 2 cores",
    precision="32-true",
    folder=Path("outputs/classification/lenet5/now_3fa85f64"),
    tracking="sqlite:///mlflow.db",
    run_id="3fa85f6457174562",
)
RESULT = RunResult(
    status="FINISHED",
    measure="test/top1",
    mode="max",
    measures={"test/top1": 0.9833, "test/loss": 0.0612, "val/top1": 0.99},
    baselines={"nearest neighbour": 0.958, "majority class": 0.101},
    kept="epoch 27, best by val/top1",
    seconds=75,
    folder=FACTS.folder,
    places=["figures/", "metrics.json"],
    tracking=FACTS.tracking,
    commands={"make ui": "every run"},
)


def text(renderable: RenderableType, *, width: int = 80) -> str:
    """As it arrives in a file."""
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def words(renderable: RenderableType, *, width: int = 80) -> str:
    """Without frame and line breaks."""
    return " ".join(text(renderable, width=width).replace("│", " ").split())


@pytest.mark.parametrize("width", [60, 80, 200])
def test_panels_keep_to_the_width_and_to_plain_text(width: int) -> None:
    for panel in (first_panel(FACTS), last_panel(RESULT)):
        lines = text(panel, width=width).splitlines()
        assert {len(line) for line in lines} == {width}
        assert "\x1b" not in "".join(lines)


def test_first_panel_says_what_will_run() -> None:
    shown = words(first_panel(FACTS))
    for part in (
        "classification",
        "lenet5 · 61.7 k parameters · 417 k multiply-adds",
        "digits · train 1,078 val 359 test 360",
        "3 classes with 100 (zero) to 121 (one) images",
        "30 epochs · batch 64 · adamw at 0.001 · cosine",
        "CPU, 2 cores, 32-true",
        "outputs/classification/lenet5/now_3fa85f64",
        "mlflow.db (make ui shows it) · run 3fa85f64",
    ):
        assert part in shown
    assert "trained" not in shown
    assert "resumed" not in shown


def test_first_panel_explains_the_effective_batch_and_frozen_weights() -> None:
    facts = replace(FACTS, accumulated=2, processes=4, trainable_parameters=850, resumed="epoch 3")
    shown = words(first_panel(facts))
    assert "4 processes x batch 64 x 2 accumulated = 512 · adamw at 0.001 · cosine" in shown
    assert "850 of them trained" in shown
    assert "resumed epoch 3" in shown


def test_first_panel_leaves_out_what_a_task_does_not_have() -> None:
    facts = replace(
        FACTS, class_counts=(), multiply_adds=None, tracking="", run_id="", epochs=None, scheduler=""
    )
    shown = words(first_panel(facts))
    for absent in ("balance", "multiply-adds", "MLflow", "epochs", "None"):
        assert absent not in shown


def test_equal_classes_are_said_in_one_number() -> None:
    assert "3 classes with 50 images each" in words(first_panel(replace(FACTS, class_counts=[50, 50, 50])))


def test_first_panel_of_a_task_of_identities() -> None:
    facts = replace(FACTS, class_counts=(), identities={"train": 6, "val": 6, "test": 4}, pairs=[6402, 57859])
    shown = words(first_panel(facts))
    assert "identities train 6 val 6 test 4" in shown
    assert "test pairs 6,402 matching · 57,859 others" in shown
    assert "identities" not in words(first_panel(FACTS)) and "pairs" not in words(first_panel(FACTS))


def test_last_panel_compares_with_what_learns_nothing() -> None:
    shown = words(last_panel(RESULT))
    order = [shown.index(name) for name in ("test/top1", "nearest neighbour", "majority class")]
    assert order == sorted(order)
    for part in (
        "finished after 1:15",
        "0.9833",
        "better than nearest neighbour by 0.0253",
        "epoch 27, best by val/top1",
        "loss 0.0612 · top1 0.9833",
        "figures/ · metrics.json",
        "every run $ make ui",
    ):
        assert part in shown


def test_panels_tell_what_only_some_tasks_have() -> None:
    painting = replace(FACTS, class_counts=[], notes={"style": "coffee (600 x 400)"})
    assert "style coffee (600 x 400)" in words(first_panel(painting))
    assert "picture" not in words(last_panel(RESULT))
    painted = replace(RESULT, picture="outputs/some/figures/result.png")
    assert "picture outputs/some/figures/result.png" in words(last_panel(painted))


def test_last_panel_does_not_praise_a_result_that_is_no_better() -> None:
    result = replace(RESULT, measures={"test/top1": 0.9})
    assert "no better than nearest neighbour" in words(last_panel(result))
    less_is_more = replace(
        RESULT, measure="test/loss", mode="min", baselines={"mean": 0.5}, measures={"test/loss": 0.0612}
    )
    assert "better than mean by 0.4388" in words(last_panel(less_is_more))


def test_last_panel_without_a_measure_or_baselines() -> None:
    killed = replace(RESULT, status="KILLED", measures={}, commands={})
    assert "no test/top1: the run ended before it was measured" in words(last_panel(killed))
    assert "better than" not in words(last_panel(replace(RESULT, baselines={})))


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0"), (999, "999"), (61706, "61.7 k"), (25557032, "25.6 M"), (4.1e9, "4.1 G")]
)
def test_numbers_are_short(number: float, shown: str) -> None:
    assert shown_number(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59.4, "59 s"), (75, "1:15"), (3661, "1:01:01")]
)
def test_times_are_short(seconds: float, shown: str) -> None:
    assert shown_time(seconds) == shown


def test_paths_are_relative_inside_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "outputs" / "a") == "outputs/a"
    assert shown_path(tmp_path.parent / "b") == str(tmp_path.parent / "b")
    assert shown_address(f"sqlite:///{tmp_path}/mlflow.db") == "mlflow.db (make ui shows it)"
    assert shown_address("http://host:5000/#/experiments/1") == "http://host:5000/#/experiments/1"
