"""What a person can put right in a sweep: one message, and nothing is started."""

import sys
from pathlib import Path

import pytest

from pipeline.errors import Mistake
from pipeline.sweep import words_of
from pipeline.sweeps.folder import all_sweeps
from tests.commands import AT_ONCE, run_verb
from tests.pipeline.sweeps import PLAIN, Stage, staged

RATES = "optimizer.lr=0.1,0.01,0.001"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return staged(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("model=lenet6,resnet8",), "lenet5"),
        (("optimizer.lr=0.1,-1",), "optimizer.lr"),
        (("optimizer.learning_rate=0.1,0.2",), "lr"),
        (("optimizer.learning_rate=0.1", RATES), "lr"),
        (("optimizer.lr=interval(0.1,1)",), "hydra.sweeper.method=random"),
        (("seed=1",), "nothing is searched"),
        ((RATES, "resume=latest", "hydra.mode=MULTIRUN"), "make sweep resume="),
        ((RATES, "hydra.sweeper.method=gird"), "grid"),
        ((RATES, "hydra.sweeper.n_trials=many"), "n_trials"),
        ((RATES, "hydra.sweeper.n_trials=0"), "at least 1"),
        ((RATES, "hydra.sweeper.n_trails=3"), "n_trails"),
        ((RATES, "hydra.sweeper.objectives={val/top1: most}"), "max"),
        ((RATES, "hydra.sweeper.repeat={seed: 3}"), "at least two values"),
        ((RATES, "hydra.sweeper.storage=postgresql://me:secret@host/db"), "OPTUNA_STORAGE"),
        ((RATES, "hydra.launcher.devices_per_job=3"), "0 GPUs"),
        ((RATES, "hydra.launcher.jobs=none"), "hydra.launcher.jobs"),
        (("task=classification,detection",), "one sweep for each task"),
        (("sweep=corse",), "sweep"),
        ((RATES, "from=latest"), "there is no sweep"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_started(
    words: tuple[str, ...], right: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    given = list(words) if "hydra.mode=MULTIRUN" not in words else [*words, "--multirun"]
    stage.monkeypatch.setattr(sys, "argv", ["pipeline.train", *(given or []), "--multirun"])
    from pipeline import compose, train

    assert compose.run_verb(verb="train", start=train._start) == 2
    told = capsys.readouterr().err
    assert right in told and told.count("error:") == 1 and "Traceback" not in told and "secret" not in told
    assert not list(stage.root.glob("outputs/sweeps/*")) and stage.calls() == {}


def test_torchrun_starts_no_sweep(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    torchrun = {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    for name, value in torchrun.items():
        stage.monkeypatch.setenv(name, value)
    assert stage.run(*PLAIN, RATES) == 2
    assert "start torchrun once for each run" in capsys.readouterr().err
    assert stage.calls() == {}


def test_several_values_without_a_sweep_are_explained(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline import compose, train

    stage.monkeypatch.setattr(sys, "argv", ["pipeline.train", RATES])
    assert compose.run_verb(verb="train", start=train._start) == 2
    assert "make sweep" in capsys.readouterr().err


def test_beside_resume_nothing_else_may_stand(stage: Stage) -> None:
    assert stage.run(*PLAIN, RATES) == 0
    with pytest.raises(Mistake, match=r"seed=3: a sweep goes on with its own words"):
        words_of(["resume=latest", "seed=3"])
    with pytest.raises(Mistake, match=r"resume=zzz: no sweep has this id"):
        words_of(["resume=zzz"])


def test_no_sweep_is_left_of_a_search_that_cannot_begin(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("hydra.sweeper.method=tpe", "hydra.sweeper.storage=nonsense://host")
    assert stage.run(*PLAIN, RATES, *words) == 2
    assert capsys.readouterr().err.count("error:") == 1
    assert all_sweeps(stage.root) == [] and stage.calls() == {}


def test_make_sweep_answers_at_once(tmp_path: Path) -> None:
    for words in (("--help",), ("model=lenet5", "--cfg", "job")):
        answer = run_verb("sweep", *words, root=tmp_path)
        assert answer.code == 0 and answer.seconds < AT_ONCE, answer.err
    answer = run_verb("sweep", "resume=latest", root=tmp_path)
    assert answer.code == 2 and "there is no sweep" in answer.err and answer.seconds < AT_ONCE
    assert list(tmp_path.iterdir()) == []


def test_other_verbs_keep_hydras_own_sweeper(tmp_path: Path) -> None:
    answer = run_verb("find_lr", "--cfg", "hydra", root=tmp_path)
    assert "BasicSweeper" in answer.out and "BasicLauncher" in answer.out


def test_plugins_of_others_need_not_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline import plugins

    def nothing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(plugins, "import_module", nothing)
    made = plugins._package("no_such_plugins")
    assert sys.modules.pop("no_such_plugins") is made
