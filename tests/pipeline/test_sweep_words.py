"""What is typed for a sweep, taken apart as Hydra would."""

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline.sweep import words_of
from pipeline.sweeps.grid import GridSearch
from pipeline.sweeps.words import environment_words, quoted, shown, taken_apart, word_of
from pipeline.typed_words import in_full


def parser() -> OverridesParser:
    return OverridesParser.create()


@pytest.mark.parametrize(
    "words",
    [
        ("model=lenet5,resnet8", "optimizer.lr=0.1,0.01"),
        ("seed=range(1,4)", "task.label_smoothing=choice(0,0.1)", "model=lenet5"),
        ("network=resnet8,lenet5", "seed=1,2", "task=verification"),
        ("+a='x, y','z'", "b=shuffle(1,2,3)", "b=4,5", "c=sort(3,1,2)", "++d=null,true"),
        ("model=glob(*net8)", "seed=5", "seed=1,2"),
    ],
)
def test_a_grid_is_what_hydra_itself_would_run(words: tuple[str, ...]) -> None:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path

    from pipeline.compose import CONF

    loader = ConfigLoaderImpl(config_search_path=create_config_search_path(str(CONF)))
    reader = OverridesParser.create(config_loader=loader)
    whole = in_full(list(words))
    (expected,) = BasicSweeper.split_arguments(reader.parse_overrides(whole), None)
    typed = taken_apart(whole, params={}, parser=reader)
    search = GridSearch(space=typed.space)
    found = []
    while (trial := search.next()) is not None:
        found.append({*typed.fixed, *trial.overrides})
    assert found == [set(job) for job in expected]
    assert len(found) == search.total > 1


def test_what_is_typed_wins_over_a_file() -> None:
    typed = taken_apart(
        ["a=1", "b=5,6"],
        params={"a": "1,2", "b": 3, "c": {"e": "7,8"}, "d": [1, 2]},
        parser=parser(),
    )
    assert [item.input_line for item in typed.space] == ["b=5,6", "c.e=7,8"]
    assert typed.fixed == ("d=[1, 2]", "a=1")


@pytest.mark.parametrize(
    "value",
    ["plain", "a b", 'say "yes"', "it's", "back\\slash", "end\\", '\\"', "${seed}", "1e5", "007", "null", ""],
)
def test_a_text_is_read_back_as_it_was(value: str) -> None:
    from omegaconf import OmegaConf

    for word in (word_of(value), quoted(value)):
        read = parser().parse_override(f"key={word}").value()
        text = read if isinstance(read, str) else read.text
        assert OmegaConf.create({"seed": 3, "key": text}).key == value
    (word,) = environment_words({"PIPELINE_SOMETHING": value})
    assert word.startswith("++hydra.job.env_set.PIPELINE_SOMETHING=")


def test_what_is_inherited_anyway_is_not_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTUNA_STORAGE", "postgresql://me:secret@host/db")
    assert environment_words({"OPTUNA_STORAGE": "postgresql://me:secret@host/db"}) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=a,b"], ["model=a,b", "--multirun"]),
        (["model=a,b", "--multirun"], ["model=a,b", "--multirun"]),
        (["--help"], ["--help"]),
        (["model=a,b", "--cfg", "job"], ["model=a,b", "--cfg", "job"]),
        (["resume=null", "model=a,b"], ["resume=null", "model=a,b", "--multirun"]),
    ],
)
def test_make_sweep_is_make_train_with_several_values(words: list[str], expected: list[str]) -> None:
    assert words_of(words) == expected


def test_the_earlier_sweep_is_named_as_it_was_typed() -> None:
    assert in_full(["from=1e567890"]) == ['hydra.sweeper.start_from="1e567890"']
    (override,) = parser().parse_overrides(in_full(["from=12345678"]))
    assert override.value() == "12345678"


def test_people_read_what_they_have_typed() -> None:
    assert shown(in_full(["network=resnet8"])[0]) == "network=resnet8"
    assert shown("optimizer.lr=0.1") == "optimizer.lr=0.1"
