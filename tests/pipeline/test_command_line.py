"""What a person sees at once: help, the composed configuration, and every mistake with the right word."""

from pathlib import Path

import pytest

from pipeline.compose import Composed
from pipeline.compose import run_verb as run_verb_here
from tests.commands import AT_ONCE, run_verb

VERBS = (
    "train",
    "compare",
    "register",
    "sync",
    "find_lr",
    "average",
    "ensemble",
    "evaluate",
    "predict",
    "export",
    "enroll",
    "identify",
    "verify",
    "stylize",
    "models",
    "browse",
    "ui",
)


MISTAKES = {
    "model=lenet6": "lenet5",
    "task=clasification": "classification",
    "optimizer.learning_rate=0.1": "lr",
    "optimiser=sgd": "optimizer",
    "sede=3": "seed",
    "trainer.max_epoch=3": "max_epochs",
    "+trainer.max_epoch=3": "max_epochs",
    "trainer.max_epochs=many": "trainer.max_epochs",
    "optimizer.lr=-1": "optimizer.lr",
    "data.batch_size=0": "data.batch_size",
    "data.batchsize=4": "batch_size",
    "transforms.train.flip.prob=0.5": "transforms.train",
    "task.label_smoothing=1.5": "task.label_smoothing",
    "callbacks.checkpoint.save_topk=3": "save_top_k",
    "trainer.max_epochs=[1": "trainer.max_epochs",
    "resume=nothing": "resume=nothing",
    "model=null": "lenet5",
    "task.monitor=val/acc": "val/auc",
    "task.mode=min": "more is better",
    "data.image_size=${data.imag_size}": "data.image_size",
    "~transforms.train.afine": "transforms.train.afine",
    "trainer.accumulate_grad_batches=0": "trainer.accumulate_grad_batches",
}


@pytest.mark.parametrize("verb", VERBS)
def test_help_and_configuration_answer_at_once(verb: str, tmp_path: Path) -> None:
    for flag in (["--help"], ["--cfg", "job"]):
        answer = run_verb(verb, *flag, root=tmp_path)
        assert answer.code == 0, answer.err
        assert answer.seconds < AT_ONCE
        assert verb in answer.out or flag[0] == "--cfg"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", MISTAKES)
def test_a_mistake_is_answered_with_the_right_word(word: str, tmp_path: Path) -> None:
    answer = run_verb("train", word, root=tmp_path)
    assert answer.code == 2, answer.err
    assert MISTAKES[word] in answer.err
    assert "Traceback" not in answer.err
    assert answer.seconds < AT_ONCE
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["Łukasz.png", "O'Brien.png", 'a "b" (1), [2].png', "= c.png", "plain.png"])
def test_any_name_of_a_file_arrives_as_it_was_typed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["verify", f"a={tmp_path / name}", "b=two.png"])
    monkeypatch.setenv("PIPELINE_ROOT", str(tmp_path))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # so that it is taken back
    arrived: list[Composed] = []

    assert run_verb_here(verb="verify", start=lambda composed: arrived.append(composed) or 0) == 0
    assert arrived[0].settings["a"] == str(tmp_path / name)
    assert arrived[0].settings["b"] == "two.png"


def test_all_mistakes_come_in_one_message(tmp_path: Path) -> None:
    words = ("model=lenet6", "optimizer.lr=-1", "trainer.max_epoch=3", "sede=1")
    answer = run_verb("train", *words, root=tmp_path)
    assert answer.code == 2
    for right in ("lenet5", "optimizer.lr", "max_epochs", "seed"):
        assert right in answer.err


def test_a_file_of_overrides_must_say_that_it_is_for_the_whole(tmp_path: Path) -> None:
    folder = tmp_path / "conf"
    (folder / "experiment").mkdir(parents=True)
    (folder / "experiment" / "lost.yaml").write_text("data:\n  num_workers: 2\n")
    answer = run_verb("train", "--config-dir", str(folder), "experiment=lost", root=tmp_path)
    assert answer.code == 2
    assert "# @package _global_" in answer.err


def test_a_wrong_word_in_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    file = tmp_path / "conf" / "experiment" / "mine.yaml"
    words = ("--config-dir", str(tmp_path / "conf"), "experiment=mine")
    for content, right in (
        ("defaults:\n  - override /model: lenet6\n", "lenet5"),
        ("optimizer:\n  learning_rate: 1\n", "lr"),
        ("optimiser:\n  lr: 1\n", "optimizer"),
        ("transforms:\n  train:\n    affine:\n      rotat: 3\n", "rotate"),
        ("trainer: [1\n", "mine.yaml"),
    ):
        file.write_text(f"# @package _global_\n{content}")
        answer = run_verb("train", *words, root=tmp_path)
        assert answer.code == 2, answer.err
        assert right in answer.err
        assert answer.seconds < AT_ONCE
    assert [path.name for path in tmp_path.iterdir()] == ["conf"]


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    answer = run_verb("train", "trainer.max_epochs=many", "debug=true", root=tmp_path)
    assert answer.code != 0
    assert "Traceback" in answer.err


@pytest.mark.parametrize(
    ("verb", "word", "right"),
    [
        ("evaluate", "split=tset", "test"),
        ("evaluate", "spilt=test", "split"),
        ("evaluate", "run=zzz", "there is no run"),
        ("predict", "run=latest", "input"),
        ("enroll", "remve=Ada", "remove"),
        ("identify", "threshold=far", "float"),
        ("verify", "b=two.jpg", "a=???"),
        ("stylize", "colour=sepia", "luminance"),
        ("models", "format=jsn", "json"),
        ("browse", "split=vall", "val"),
        ("browse", "transforms=heavi", "heavy"),
        ("ui", "port=many", "port"),
    ],
)
def test_every_verb_names_the_right_word(verb: str, word: str, right: str, tmp_path: Path) -> None:
    answer = run_verb(verb, word, root=tmp_path)
    assert answer.code == 2, answer.err
    assert right in answer.err
    assert list(tmp_path.iterdir()) == []


def test_a_verb_works_from_any_folder(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    answer = run_verb("models", "--cfg", "job", root=tmp_path, cwd=elsewhere)
    assert answer.code == 0, answer.err


def test_tab_completion_offers_models(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    command = Path(sys.executable).with_name("pipeline-train")
    environment = {**os.environ, "COMP_LINE": "pipeline-train model=le", "COMP_POINT": "23"}
    done = subprocess.run(
        [command, "-sc", "query=bash"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "model=lenet5" in done.stdout, done.stderr


def test_options_may_stand_between_words_for_the_configuration(tmp_path: Path) -> None:
    answer = run_verb("train", "seed=7", "--cfg", "job", "model=lenet5", "~callbacks.figures", root=tmp_path)
    assert answer.code == 0, answer.err
    assert "seed: 7" in answer.out and "lenet5" in answer.out
