"""Search by Optuna: samplers, studies that are shared or go on, storages, and what cannot be."""

import json
import sqlite3
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from pipeline.errors import Mistake
from pipeline.sweeps.jobs import TRIAL
from pipeline.sweeps.storages import STORAGE, environment_of
from pipeline.sweeps.typed_settings import read_settings
from pipeline.sweeps.watching import Reporter, Watched
from tests import postgres
from tests.pipeline.searching import DECAY, LR, a_sweep, again, result, run, search, values_of


@pytest.fixture(autouse=True)
def _no_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STORAGE, raising=False)


def study_of(root: Path, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{root / 'optuna.db'}")


@pytest.mark.parametrize("method", ["tpe", "cmaes", "nsga2", "qmc"])
def test_every_sampler_tries_as_often_as_asked_and_finds_a_good_value(method: str, tmp_path: Path) -> None:
    results = run(search(LR, DECAY, root=tmp_path, method=method, n_trials=25))
    assert [one.trial.number for one in results] == list(range(25))
    assert len({one.trial.overrides for one in results}) == 25
    assert max(one.values["val/top1"] for one in results) > -0.25


def test_tpe_learns_from_what_it_is_told(tmp_path: Path) -> None:
    told = run(search(LR, DECAY, root=tmp_path, method="tpe", n_trials=40))
    first, last = told[:10], told[-10:]
    assert statistics.median(one.values["val/top1"] for one in last) > statistics.median(
        one.values["val/top1"] for one in first
    )


def test_groups_integers_and_words_are_chosen_by_optuna_too(tmp_path: Path) -> None:
    words = ["model=lenet5,resnet8", "depth=int(interval(1,9))", "rate=range(0.1,0.5,0.1)", "a=null,'x y'"]
    asked = search(*words, root=tmp_path, method="tpe", n_trials=12)
    found = [values_of(asked.next()) for _ in range(12)]  # type: ignore[arg-type]
    assert {row["model"] for row in found} == {"lenet5", "resnet8"}
    assert {row["a"] for row in found} == {None, "x y"}
    assert all(isinstance(row["depth"], int) and 1 <= row["depth"] <= 9 for row in found)
    assert {row["rate"] for row in found} <= {0.1, 0.2, 0.3, 0.4}


@pytest.mark.parametrize("method", ["grid", "random"])
def test_grid_and_random_are_optunas_where_a_study_is_named(method: str, tmp_path: Path) -> None:
    words = ["model=a,b", "rate=range(0.1,0.4,0.1)"]
    asked = search(*words, root=tmp_path, method=method, study="shared", n_trials=6)
    results = run(asked, of=lambda values: values["rate"])
    assert len(results) == 6
    assert len(study_of(tmp_path, "shared").trials) == 6
    if method == "grid":
        assert len({one.trial.overrides for one in results}) == 6


def test_what_became_of_trials_is_told_in_optunas_words(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    asked = search(LR, root=tmp_path, sweep=sweep, method="tpe", n_trials=4)
    trials = [asked.next() for _ in range(4)]
    assert asked.next() is None
    asked.told(result(trials[0], top1=0.9))  # type: ignore[arg-type]
    asked.told(result(trials[1], "FAILED"))  # type: ignore[arg-type]
    asked.told(result(trials[2], "PRUNED"))  # type: ignore[arg-type]
    asked.told(result(trials[3], "KILLED"))  # type: ignore[arg-type]
    found = study_of(tmp_path, sweep.sweep_id).trials
    assert [trial.state for trial in found] == [
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.PRUNED,
        TrialState.RUNNING,
    ]
    assert found[0].value == 0.9
    assert asked.total == 4


def test_a_sweep_that_goes_on_has_the_same_trials_first_and_then_new_ones(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    settings = {"method": "random", "study": "mine", "n_trials": 6}
    first = search(LR, root=tmp_path, sweep=sweep, **settings)
    before = [first.next() for _ in range(3)]
    first.told(result(before[0], top1=0.5))  # type: ignore[arg-type]
    first.told(result(before[1], "FAILED"))  # type: ignore[arg-type]
    second = search(LR, root=tmp_path, sweep=again(sweep), **settings)
    after = list(iter(second.next, None))
    assert after[:3] == before
    assert [trial.number for trial in after] == list(range(6))
    assert len({trial.overrides for trial in after}) == 6
    for trial in after:
        second.told(result(trial, top1=0.7))
    values = [trial.value for trial in study_of(tmp_path, "mine").trials]
    assert values == [0.5, None, 0.7, 0.7, 0.7, 0.7, 0.7]  # the failed one, tried again, stands at the end
    third = search(LR, root=tmp_path, sweep=again(sweep), **settings)
    assert list(iter(third.next, None)) == after


def test_a_trial_that_was_being_asked_for_when_the_sweep_was_killed_is_made_up_for(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path)
    asked = search(LR, root=tmp_path, sweep=sweep, method="tpe", n_trials=3)
    asked.next()
    study_of(tmp_path, sweep.sweep_id).ask()  # without values yet
    trials = list(iter(search(LR, root=tmp_path, sweep=again(sweep), method="tpe", n_trials=3).next, None))
    assert [trial.number for trial in trials] == [0, 2, 3]


def test_machines_share_a_study_and_leave_the_others_trials_alone(tmp_path: Path) -> None:
    settings = {"method": "random", "study": "shared", "n_trials": 7, "seed": 5}
    one, other = a_sweep(tmp_path), a_sweep(tmp_path)
    left, right = (search(LR, root=tmp_path, sweep=sweep, **settings) for sweep in (one, other))
    mine = [left.next(), left.next()]
    theirs = [right.next(), right.next()]
    mine += list(iter(left.next, None))
    assert right.next() is None
    assert left.total == 5
    assert right.total == 2
    numbers = [trial.number for trial in [*mine, *theirs] if trial is not None]
    words = {trial.overrides for trial in [*mine, *theirs] if trial is not None}
    assert sorted(numbers) == list(range(7))
    assert len(words) == 7
    resumed = search(LR, root=tmp_path, sweep=again(other), **settings)
    assert list(iter(resumed.next, None)) == theirs


def test_trials_of_one_seed_are_the_same_and_of_another_are_not(tmp_path: Path) -> None:
    found = [
        [
            one.trial.overrides
            for one in run(search(LR, DECAY, root=tmp_path / name, method="tpe", n_trials=14, seed=seed))
        ]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert found[0] == found[1]
    assert not {*found[0]} & {*found[2]}


def test_several_objectives_are_told_in_their_order(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path, objectives={"val/top1": "max", "val/loss": "min"})
    asked = search(LR, DECAY, root=tmp_path, sweep=sweep, method="nsga2", n_trials=3)
    for top1, loss in ((0.9, 0.5), (0.8, 0.1), (0.7, 0.6)):
        trial = asked.next()
        assert trial is not None
        asked.told(result(trial, loss=loss, top1=top1))
    best = study_of(tmp_path, sweep.sweep_id).best_trials
    assert [trial.values for trial in best] == [[0.9, 0.5], [0.8, 0.1]]


def test_a_journal_is_a_storage_and_relative_paths_lie_at_the_root(tmp_path: Path) -> None:
    for address, path in (
        ("journal://studies/log", tmp_path / "studies" / "log"),
        (f"journal://{tmp_path}/other/log", tmp_path / "other" / "log"),
        ("sqlite:///here.db", tmp_path / "here.db"),
    ):
        assert len(run(search(LR, root=tmp_path, method="tpe", storage=address, n_trials=2))) == 2
        assert path.stat().st_size > 0


def test_the_database_is_made_once_by_whoever_comes_first_and_in_wal(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def join() -> None:
        try:
            search(LR, root=tmp_path, method="tpe", study="shared", n_trials=2).next()
        except (Mistake, optuna.exceptions.OptunaError) as error:
            failures.append(error)

    threads = [threading.Thread(target=join) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_environment_says_where_and_a_password_is_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STORAGE, f"sqlite:///{tmp_path}/elsewhere.db")
    sweep = a_sweep(tmp_path)
    search(LR, root=tmp_path, sweep=sweep, method="tpe")
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "optuna.db").exists()
    assert again(sweep).facts["storage"] == f"sqlite:///{tmp_path}/elsewhere.db"
    monkeypatch.setenv(STORAGE, "postgresql+pg8000://ann:secret@127.0.0.1:1/studies")
    with pytest.raises(Mistake) as mistake:
        search(LR, root=tmp_path, method="tpe")
    assert "postgresql+pg8000://127.0.0.1:1/studies" in str(mistake.value)
    assert "secret" not in str(mistake.value)


@pytest.mark.parametrize("password", ["secret", "x/secret"])
def test_a_password_that_is_typed_is_refused(password: str, tmp_path: Path) -> None:
    address = f"postgresql://ann:{password}@host/studies"
    with pytest.raises(Mistake, match="OPTUNA_STORAGE") as mistake:
        search(LR, root=tmp_path, method="tpe", storage=address)
    assert "secret" not in str(mistake.value)
    with pytest.raises(Mistake, match="OPTUNA_STORAGE") as mistake:
        read_settings({"storage": address})
    assert "secret" not in str(mistake.value)
    assert environment_of(address) == {}


def test_a_job_is_told_of_the_study_only_where_it_may_be_ended(tmp_path: Path) -> None:
    plain = search(LR, root=tmp_path, method="tpe").next()
    assert plain is not None and plain.environment == {}
    sweep = a_sweep(tmp_path)
    watched = search(LR, root=tmp_path, sweep=sweep, method="random", prune="median").next()
    assert watched is not None
    address = f"sqlite:///{tmp_path}/optuna.db"
    assert watched.environment[STORAGE] == address
    assert json.loads(watched.environment[TRIAL]) == {
        "study": sweep.sweep_id,
        "number": 0,
        "storage": address,
        "prune": "median",
        "measure": "val/top1",
    }


def test_a_storage_that_goes_away_costs_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = a_sweep(tmp_path)
    asked = search(LR, root=tmp_path, sweep=sweep, method="tpe", n_trials=3)
    first = asked.next()
    assert first is not None
    tell = optuna.Study.tell

    def away(*_: object, **__: object) -> None:
        raise optuna.exceptions.StorageInternalError("gone")

    monkeypatch.setattr(optuna.Study, "tell", away)
    asked.told(result(first, top1=0.5))
    with pytest.raises(Mistake, match=f"make sweep resume={sweep.sweep_id[:8]} goes on"):
        asked.next()
    monkeypatch.setattr(optuna.Study, "tell", tell)
    assert asked.next() is not None
    assert study_of(tmp_path, sweep.sweep_id).trials[0].value == 0.5


def test_a_study_that_searches_or_looks_for_something_else_is_refused(tmp_path: Path) -> None:
    run(search(LR, root=tmp_path, method="random", study="old", n_trials=1))
    for words, objectives, part in (
        ([LR, DECAY], {"val/top1": "max"}, "optimizer.weight_decay"),
        ([LR.replace("1e-1", "1.0")], {"val/top1": "max"}, "interval(0.0001, 1.0)"),
        ([LR], {"val/top1": "min"}, "looks for max val/top1"),
        ([LR], {"val/auc": "max"}, "looks for max val/top1"),
        ([LR], {"val/top1": "max", "val/loss": "min"}, "looks for max val/top1"),
    ):
        sweep = a_sweep(tmp_path, objectives=objectives)
        with pytest.raises(Mistake) as mistake:
            search(*words, root=tmp_path, sweep=sweep, method="random", study="old")
        assert part in str(mistake.value) and "another study" in str(mistake.value)


def test_a_study_that_somebody_else_has_made_is_compared_by_its_trials(tmp_path: Path) -> None:
    study = optuna.create_study(
        study_name="theirs", storage=f"sqlite:///{tmp_path}/optuna.db", direction="maximize"
    )
    study.optimize(lambda trial: trial.suggest_float("optimizer.lr", 0, 1), n_trials=1)
    with pytest.raises(Mistake, match="another study"):
        search(LR, root=tmp_path, method="tpe", study="theirs")


@pytest.mark.parametrize(
    ("settings", "words", "parts"),
    [
        ({"method": "cmaes"}, ["model=a,b"], ["method=cmaes", "two or more ranges", "method=tpe"]),
        ({"storage": "here.db", "method": "tpe"}, [LR], ["storage=here.db", "sqlite:///"]),
        ({"storage": "redis://127.0.0.1:1", "method": "tpe"}, [LR], ["redis://127.0.0.1:1", "not installed"]),
        ({"storage": "grpc://127.0.0.1:1", "method": "tpe"}, [LR], ["grpc://127.0.0.1:1", "not installed"]),
        ({"storage": "nosuch://x", "method": "tpe"}, [LR], ["nosuch://x", "cannot be used"]),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(
    settings: dict[str, Any], words: list[str], parts: list[str], tmp_path: Path
) -> None:
    with pytest.raises(Mistake) as mistake:
        search(*words, root=tmp_path, **settings)
    assert all(part in str(mistake.value) for part in parts), mistake.value


def test_cmaes_takes_one_objective(tmp_path: Path) -> None:
    sweep = a_sweep(tmp_path, objectives={"val/top1": "max", "val/loss": "min"})
    with pytest.raises(Mistake, match="looks for one objective, not for val/top1, val/loss"):
        search(LR, DECAY, root=tmp_path, sweep=sweep, method="cmaes")


def test_the_searching_process_imports_no_torch_and_plain_searches_no_optuna() -> None:
    script = (
        "import sys; import pipeline.sweeps.searches; assert 'optuna' not in sys.modules;"
        "import pipeline.sweeps.optuna_search, pipeline.sweeps.samplers, pipeline.sweeps.studies;"
        "assert not {'torch', 'pytorch_lightning', 'mlflow'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres.running() as address:
        yield address


@pytest.mark.slow
def test_machines_share_a_study_in_postgresql_and_its_password_stays_in_the_environment(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(STORAGE, database.replace("+pg8000", ""))
    settings = {"method": "tpe", "study": "shared", "n_trials": 8, "prune": "median"}
    machines = [tmp_path / "one", tmp_path / "other"]
    sweeps = [a_sweep(root) for root in machines]
    searches = [
        search(LR, root=root, sweep=sweep, **settings) for root, sweep in zip(machines, sweeps, strict=True)
    ]
    done = [run(one, count=1)[0].trial for _ in range(4) for one in searches]
    assert sorted(trial.number for trial in done) == list(range(8))
    assert len({trial.overrides for trial in done}) == 8
    assert [one.next() for one in searches] == [None, None]
    assert all(STORAGE not in trial.environment for trial in done)  # they inherit it
    resumed = search(LR, root=machines[0], sweep=again(sweeps[0]), **{**settings, "n_trials": 9})
    trials = list(iter(resumed.next, None))
    assert [trial.number for trial in trials] == [0, 2, 4, 6, 8]
    reporter = Reporter(Watched(**json.loads(trials[-1].environment[TRIAL])))
    assert not reporter.is_hopeless(0.5, epochs=1)
    assert "does not answer" not in caplog.text
    monkeypatch.setenv(STORAGE, database.replace("/postgres", "/nowhere"))
    with pytest.raises(Mistake, match="nowhere") as mistake:
        search(LR, root=machines[0], method="tpe")
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    told = "".join(json.dumps(dict(trial.environment)) for trial in done)
    assert postgres.PASSWORD not in written + told + str(mistake.value) + caplog.text
