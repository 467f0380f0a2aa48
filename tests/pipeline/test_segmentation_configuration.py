"""What the pipeline makes of a segmenter's configuration: what fits it, and how mistakes are answered."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline import build
from pipeline.compose import compose_plain, problems_of
from pipeline.errors import Mistake
from pipeline.fitting import names_for_task, recipes_for_task, tasks_of
from pipeline.work.loading import use_window

SEGMENTATION = "task=segmentation"


def problems(*words: str, verb: str = "train") -> dict[str, str]:
    config = compose_plain(verb=verb, overrides=list(words))
    return {problem.key: problem.message for problem in problems_of(verb=verb, config=config)}


def test_one_word_is_a_run() -> None:
    assert problems(SEGMENTATION) == {}


@pytest.mark.parametrize("model", names_for_task("model", "segmentation"))
def test_every_model_is_one_word_more(model: str) -> None:
    assert problems(SEGMENTATION, f"model={model}") == {}


def test_each_task_has_recipes_of_its_own() -> None:
    tasks = ("classification", "detection", "segmentation")
    recipes = [set(recipes_for_task(task)) for task in tasks]
    assert {"segmentation_none", "segmentation_light", "segmentation_heavy"} == recipes[2]
    assert sum(len(names) for names in recipes) == len(set.union(*recipes)), "none belongs to two"


@pytest.mark.parametrize("recipe", ["detection_light", "light"])
def test_a_recipe_of_another_task_is_refused(recipe: str) -> None:
    found = problems(SEGMENTATION, f"transforms={recipe}")
    assert list(found) == ["transforms"]
    assert "transforms of segmentation: segmentation_heavy" in found["transforms"]


def test_the_scenes_serve_two_tasks_and_no_third() -> None:
    assert tasks_of("data", "digit_scenes") == ("detection", "segmentation")
    assert problems("task=detection") == {}
    found = problems("task=classification", "data=digit_scenes")
    assert list(found) == ["data"]
    assert "or choose task=detection or task=segmentation" in found["data"]


@pytest.mark.parametrize(
    ("word", "key", "answer"),
    [
        ("+task.losses.lovas=1", "task.losses.lovas", "did you mean 'lovasz'?"),
        ("task.losses.dice=-1", "task.losses", "must be at least 0"),
        ("task.class_weights=balance", "task.class_weights", "did you mean 'balanced'?"),
        ("task.auxiliary_weight=-1", "task.auxiliary_weight", "must be at least 0"),
        ("task.window=wide", "task.window", "wants int | None here"),
        ("task.window_overlap=1", "task.window_overlap", "must be in [0, 1)"),
        ("task.monitor=val/mio", "task.monitor", "the task has no such measure; did you mean 'val/miou'?"),
        ("task.mode=min", "task.mode", "of miou, more is better"),
        ("data.min_visibility=0.5", "data.min_visibility", "no argument 'min_visibility'"),
        ("model=faster_rcnn", "model", "belongs to another task than task=segmentation"),
    ],
)
def test_a_mistake_is_answered(word: str, key: str, answer: str) -> None:
    words = [f"+{word}" if word.startswith("data.min_") else word]
    found = problems(SEGMENTATION, *words)
    assert list(found) == [key]
    assert answer in found[key]


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_a_window_of_a_verb_is_checked(verb: str) -> None:
    words = ["input=pictures"] if verb == "predict" else []
    assert problems(*words, "window=0", "window_overlap=0", verb=verb) == {}
    found = problems(*words, "window=-1", "window_overlap=1.0", verb=verb)
    assert set(found) == {"window", "window_overlap"}


def trained(task: Any) -> Any:
    return SimpleNamespace(task=task, config={"choices": {"task": "drawing"}})


def test_a_window_is_as_trained_unless_it_is_given() -> None:
    task = SimpleNamespace(window=64, window_overlap=0.25)
    use_window(trained(task), window=None, window_overlap=None)
    assert (task.window, task.window_overlap) == (64, 0.25)
    use_window(trained(task), window=96, window_overlap=0.0)
    assert (task.window, task.window_overlap) == (96, 0.0)
    use_window(trained(task), window=0, window_overlap=None)
    assert task.window is None, "the whole image"


def test_a_task_without_windows_says_so() -> None:
    use_window(trained(SimpleNamespace()), window=None, window_overlap=None)
    with pytest.raises(Mistake, match="window=64: a network of task=drawing knows no windows"):
        use_window(trained(SimpleNamespace()), window=64, window_overlap=None)


def test_the_data_proposes_classes_and_scale(tmp_path: Path) -> None:
    words = [SEGMENTATION, f"data.cache_dir={tmp_path}"]
    words += [f"data.num_{split}={size}" for split, size in (("train", 8), ("val", 2), ("test", 2))]
    config = compose_plain(verb="train", overrides=words)
    datamodule: Any = build.datamodule(config)
    datamodule.setup("fit")
    model = build.filled_from_data(config, datamodule)["model"]
    assert (model["num_classes"], model["scale"]) == (11, "light")
