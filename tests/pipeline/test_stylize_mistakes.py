"""What `make stylize` and `make predict` refuse before torch is imported, and which runs paint."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from pipeline import painting, predict, stylize
from pipeline.compose import compose_plain, problems_of
from pipeline.errors import Mistake
from pipeline.fitting import names_for_task
from pipeline.painting import needs_style, paints_others, style_list
from pipeline.work.report import _own_commands
from tests.pipeline.painters import composed, write_photographs, write_run

ONE, FAST, ANY = ("a" * 32, "b" * 32, "c" * 32)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, and a run of each kind; the latest is one picture."""
    folder = tmp_path_factory.mktemp("root")
    write_photographs(folder / "photographs")
    for number, (model, run_id) in enumerate((("fast_style", FAST), ("adain", ANY), ("gatys", ONE))):
        write_run(folder, model=model, run_id=run_id, started=f"2026-01-0{number + 1}")
    return folder


@pytest.fixture
def start(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The light half of a verb; 0 where the heavy half would begin."""
    monkeypatch.chdir(root)

    def run(verb: Any, *words: str) -> int:
        monkeypatch.setattr(verb, "launch", lambda _: 0)
        name = verb.__name__.rpartition(".")[2]
        return int(verb._start(composed(name, "input=photographs", *words, root=root)))

    return run


@pytest.mark.parametrize("model", names_for_task("model", "style_transfer"))
def test_what_a_model_needs_is_read_from_its_text(model: str) -> None:
    config = compose_plain(verb="train", overrides=["task=style_transfer", f"model={model}"])
    module, _, builder = config["model"]["_target_"].rpartition(".")
    built: Any = importlib.import_module(module)
    returned = getattr(built, getattr(built, builder).__annotations__["return"].__name__)
    assert needs_style(config) is returned.needs_style
    assert paints_others(config) is not returned.is_one_picture


def test_other_tasks_do_not_paint() -> None:
    assert not paints_others(compose_plain(verb="train", overrides=[]))


def test_what_is_right_goes_on(start: Any) -> None:
    assert start(stylize, "run=bbb") == 0
    assert start(stylize, "run=ccc", "style=[coffee,photographs/a.png]", "style_blend=[1,0]") == 0
    assert start(predict, "run=bbb") == 0
    assert start(stylize, "checkpoint=some.ckpt") == 0, "it says later what it is"
    assert start(stylize, f"run={ONE}") == 0, "the server may know it"


MISTAKES = {
    "run=bbb style=coffee": "style=coffee: run bbbbbbbb learnt its style, and takes no other; leave style=",
    "run=ccc": "run cccccccc paints in any style.*make stylize run=cccccccc input=FOLDER style=PICTURE",
    "run=latest": "run aaaaaaaa is one picture.*data.content=.*or run=cccccccc paints others",
    "run=bbb alpha=1.5": "alpha=1.5 must be from 0",
    "run=bbb alpha=-0.1": "alpha=-0.1 must be from 0",
    "run=ccc style=nowhere.png": "style=nowhere.png is not there",
    "run=ccc style=coffee style_blend=[1,2]": "style_blend=.* has 2 weights, and style= 1 pictures",
    "run=ccc style=[coffee,china] style_blend=[1,-1]": "at least 0 each, and one of them above 0",
    "run=ccc style=[coffee,china] style_blend=[0,0]": "at least 0 each, and one of them above 0",
    "run=bbb output=photographs": "output=photographs is the folder of the photographs",
    "run=bbb output=photographs/a.png": "is a file; give a folder",
    "run=bbb input=nowhere": "input=nowhere: no images here",
    "run=ddd": "no run has this id",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_answered_before_anything_heavy(words: str, start: Any) -> None:
    with pytest.raises(Mistake, match=MISTAKES[words]):
        start(stylize, *words.split())


@pytest.mark.parametrize("word", ["max_size=0", "image_size=0", "pictures=-1", "format=bmp", "style=[1,2]"])
def test_values_are_held_against_what_they_mean(word: str) -> None:
    config = compose_plain(verb="stylize", overrides=["input=photographs", word])
    assert [problem.key for problem in problems_of(verb="stylize", config=config)] == [word.partition("=")[0]]


def test_prediction_says_where_a_style_is_given(start: Any) -> None:
    with pytest.raises(Mistake, match="make stylize run=cccccccc input=FOLDER style=PICTURE"):
        start(predict, "run=ccc")
    with pytest.raises(Mistake, match="run aaaaaaaa is one picture"):
        start(predict, "run=aaa")


def test_a_picture_alone_says_how_a_network_is_trained(tmp_path: Path) -> None:
    write_run(tmp_path, model="gatys", run_id=ONE)
    settings = {"run": "latest", "checkpoint": None, "task_name": None}
    with pytest.raises(Mistake, match="make train task=style_transfer model=fast_style"):
        painting.check_painter(root=tmp_path, settings=settings)


def test_styles_are_a_list() -> None:
    assert style_list(None) == []
    assert style_list("coffee") == ["coffee"]
    assert style_list(["a.png", "coffee"]) == ["a.png", "coffee"]
    assert style_list("[Łukasz.png, coffee]") == ["Łukasz.png", "coffee"]


@pytest.mark.parametrize(
    ("model", "command"),
    [
        ("fast_style", "make stylize run=1 input=FOLDER"),
        ("adain", "make stylize run=1 input=FOLDER style=PICTURE"),
        ("gatys", "make train task=style_transfer data.content=FILE data.style=FILE"),
    ],
)
def test_after_training_it_says_what_to_type(model: str, command: str) -> None:
    config = compose_plain(verb="train", overrides=["task=style_transfer", f"model={model}"])
    commands = _own_commands("run=1", config, {"content_size": None})
    assert command in commands
    assert all("predict" not in each for each in commands)
