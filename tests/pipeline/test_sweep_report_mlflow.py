"""A sweep in MLflow: parent, children and grandchildren in a real database, with numbers that are right."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from pipeline.sweeps.folder import Sweep
from pipeline.sweeps.jobs import Result
from pipeline.sweeps.parent import Parent
from pipeline.sweeps.remains import write_remains
from pipeline.tracking_pending import send_pending
from pipeline.tracking_run import TrackedRun
from pipeline.tracking_store import artifact_location, prepare_store, tracking_uri
from tests.pipeline.sweeps_made_up import made_up, made_up_sweep

WORDS = ["model=lenet5,resnet8", "optimizer.lr=0.1,0.01"]
PARENT = "mlflow.parentRunId"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a database: to make one takes seconds, so the tests of this file share it."""
    folder = tmp_path_factory.mktemp("root")
    prepare_store(tracking_uri(folder))
    return folder


@pytest.fixture
def root(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root of its own, with the shared database."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database / 'mlflow.db'}")
    return tmp_path


def opened(root: Path, *, resume_id: str | None = None) -> Parent:
    return Parent.open(
        root=root,
        words=WORDS,
        task="classification",
        method="grid",
        name="model, optimizer.lr",
        resume_id=resume_id,
    )


def attached(root: Path, results: Sequence[Result] = ()) -> tuple[Parent, Sweep]:
    parent = opened(root)
    sweep = made_up_sweep(
        root, results, sweep_id=parent.run_id, words=WORDS, space={"optimizer.lr": "0.1,0.01"}, n_trials=None
    )
    parent.attach(sweep.folder)
    return parent, sweep


def client(root: Path) -> MlflowClient:
    return MlflowClient(tracking_uri(root))


def children(root: Path, run_id: str) -> list[Run]:
    experiment = client(root).get_run(run_id).info.experiment_id
    return list(
        client(root).search_runs([experiment], f"tags.`{PARENT}` = '{run_id}'", order_by=["start_time"])
    )


def artefacts(root: Path, run_id: str) -> set[str]:
    here = client(root)
    top = here.list_artifacts(run_id)
    inside = [file for entry in top if entry.is_dir for file in here.list_artifacts(run_id, entry.path)]
    return {file.path for file in [*top, *inside] if not file.is_dir}


def history(root: Path, run_id: str, name: str) -> list[tuple[int, float]]:
    points = client(root).get_metric_history(run_id, name)
    return sorted((point.step, point.value) for point in points)


def train(root: Path, *, parent_id: str, name: str, value: float) -> str:
    """A run as a job of the sweep makes it."""
    run = TrackedRun(
        experiment="classification",
        run_name=name,
        uri=tracking_uri(root),
        artifact_location=artifact_location(root),
        tags={PARENT: parent_id},
        run_id=None,
        system_interval=None,
    )
    folder = root / "outputs" / "classification" / "lenet5" / f"now_{run.run_id[:8]}"
    folder.mkdir(parents=True)
    run.attach(folder)
    run.log_metrics({"val/top1": value}, step=1)
    run.finish("FINISHED")
    return run.run_id


RESULTS = [
    made_up(0, "model=lenet5", "optimizer.lr=0.1", goals=[{"val/top1": 0.5}]),
    made_up(1, "model=resnet8", "optimizer.lr=0.1", status="FAILED"),
    made_up(2, "model=lenet5", "optimizer.lr=0.01", goals=[{"val/top1": 0.8}]),
    made_up(3, "model=resnet8", "optimizer.lr=0.01", status="PRUNED"),
    made_up(4, "model=lenet5", "optimizer.lr=0.02", goals=[{"val/top1": 0.7}]),
    made_up(5, "model=resnet8", "optimizer.lr=0.02", goals=[{"val/top1": 0.9}]),
]


def test_a_parent_holds_what_is_left_of_its_sweep(root: Path) -> None:
    parent, sweep = attached(root)
    for done, result in enumerate(RESULTS, 1):
        best = max(RESULTS[:done], key=lambda one: one.values.get("val/top1", 0.0))
        sweep.add(result.outcomes[0])
        parent.told(result, done=done, best=best)
    remains = write_remains(sweep, RESULTS, root=root)
    parent.finish("FINISHED", remains=remains)

    run = client(root).get_run(parent.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "sweep: model, lr"
    assert client(root).get_experiment(run.info.experiment_id).name == "classification"
    tags = run.data.tags
    assert (tags["kind"], tags["task"], tags["sweep"]) == ("sweep", "classification", parent.run_id[:8])
    assert tags["method"] == "grid" and "make sweep model=lenet5,resnet8" in tags["mlflow.note.content"]
    assert {"host", "version.torch", "cores"} <= tags.keys()
    params = run.data.params
    assert params["method"] == "grid" and params["space.optimizer.lr"] == "0.1,0.01"
    assert params["objectives.val/top1"] == "max"
    assert "n_trials" not in params, "nobody said how many"
    assert history(root, parent.run_id, "best/val/top1") == [
        (1, 0.5),
        (2, 0.5),
        (3, 0.8),
        (4, 0.8),
        (5, 0.8),
        (6, 0.9),
    ]
    assert [value for _, value in history(root, parent.run_id, "trials/finished")] == [1, 1, 2, 2, 3, 4]
    assert run.data.metrics["trials/failed"] == run.data.metrics["trials/pruned"] == 1
    shares = {name: value for name, value in run.data.metrics.items() if name.startswith("importance/")}
    assert shares == pytest.approx(
        {f"importance/val/top1/{key}": share for key, share in remains.importance["val/top1"].items()}
    )
    assert {
        "table.csv",
        "table.json",
        "experiment/best.yaml",
        "figures/parallel_coordinates.png",
        "figures/progress.png",
        "figures/importance.png",
    } == artefacts(root, parent.run_id)


def test_mlflow_reads_the_table_back(root: Path) -> None:
    parent, sweep = attached(root)
    parent.finish("FINISHED", remains=write_remains(sweep, RESULTS, root=root))
    mlflow.set_tracking_uri(tracking_uri(root))
    mlflow.set_experiment("classification")
    table = mlflow.load_table("table.json", run_ids=[parent.run_id])
    assert list(table["trial"]) == [0, 1, 2, 3, 4, 5]
    assert table["val/top1"].dropna().tolist() == pytest.approx([0.5, 0.8, 0.7, 0.9])


def test_a_sweep_that_goes_on_stays_one_run(root: Path) -> None:
    parent, sweep = attached(root)
    for done, result in enumerate(RESULTS[:2], 1):
        sweep.add(result.outcomes[0])
        parent.told(result, done=done, best=RESULTS[0])
    parent.finish("KILLED", remains=write_remains(sweep, RESULTS[:2], root=root))
    assert client(root).get_run(parent.run_id).info.status == "KILLED"

    again = opened(root, resume_id=parent.run_id)
    assert again.run_id == parent.run_id
    again.attach(sweep.folder)
    again.told(RESULTS[2], done=3, best=RESULTS[2])
    again.finish("FINISHED", remains=write_remains(sweep, RESULTS[:3], root=root))
    run = client(root).get_run(parent.run_id)
    assert run.info.status == "FINISHED"
    assert not [key for key in run.data.tags if key.startswith("changed.")]
    assert history(root, parent.run_id, "best/val/top1") == [(1, 0.5), (2, 0.5), (3, 0.8)]
    assert [value for _, value in history(root, parent.run_id, "trials/finished")] == [1, 1, 2]
    assert [value for _, value in history(root, parent.run_id, "trials/failed")] == [0, 1, 1], "not forgotten"
    experiment = run.info.experiment_id
    mine = client(root).search_runs([experiment], f"tags.sweep = '{parent.run_id[:8]}'")
    assert [one.info.run_id for one in mine] == [parent.run_id]


def test_folds_are_grandchildren_with_mean_and_deviation_above(root: Path) -> None:
    folds = [0.5, 0.61, 0.73]
    parent, sweep = attached(root)
    result = made_up(4, "model=lenet5", goals=[{"val/top1": value} for value in folds])
    trial_id = parent.trial_run(result.trial)
    assert parent.trial_run(result.trial) == trial_id, "one run, however many folds"
    for fold, value in enumerate(folds):
        train(root, parent_id=trial_id, name=f"fold {fold}", value=value)
    parent.told(result, done=1, best=result)
    remains = write_remains(sweep, [result], root=root)
    parent.finish("FINISHED", remains=remains)

    (trial,) = children(root, parent.run_id)
    assert trial.info.run_id == trial_id and trial.info.status == "FINISHED"
    assert trial.info.run_name == "model=lenet5" and trial.data.tags["trial"] == "4"
    values = [run.data.metrics["val/top1"] for run in children(root, trial_id)]
    assert values == folds
    assert trial.data.metrics["val/top1"] == pytest.approx(np.mean(values))
    assert trial.data.metrics["val/top1_std"] == pytest.approx(np.std(values, ddof=1))
    assert trial_id in (sweep.folder / "table.csv").read_text(), "the table names the trial's own run"


def test_a_trial_that_was_interrupted_goes_on_in_its_run(root: Path) -> None:
    parent, sweep = attached(root)
    folds = [{"val/top1": 0.5}, {"val/top1": 0.7}]
    killed = made_up(0, "model=lenet5", status="KILLED", goals=folds)
    first = parent.trial_run(killed.trial)
    other = parent.trial_run(made_up(1, "model=resnet8").trial)
    parent.told(killed, done=1, best=None)
    parent.finish("KILLED", remains=write_remains(sweep, [killed], root=root))
    assert {run.info.status for run in children(root, parent.run_id)} == {"KILLED"}, "the open one, too"

    again = opened(root, resume_id=parent.run_id)
    again.attach(sweep.folder)
    whole = made_up(0, "model=lenet5", goals=folds)
    assert again.trial_run(whole.trial) == first != other
    again.told(whole, done=1, best=whole)
    again.finish("FINISHED", remains=write_remains(sweep, [whole], root=root))
    run = client(root).get_run(first)
    assert run.info.status == "FINISHED" and run.data.metrics["val/top1"] == pytest.approx(0.6)
    assert run.data.tags[PARENT] == parent.run_id


def test_a_sweep_without_a_result_is_closed(root: Path) -> None:
    parent, _ = attached(root)
    parent.finish("FAILED")
    assert client(root).get_run(parent.run_id).info.status == "FAILED"
    assert not artefacts(root, parent.run_id)


def test_a_server_that_is_away_is_told_later_who_belongs_to_whom(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tracking_uri(root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")
    parent, sweep = attached(root)
    result = made_up(0, "model=lenet5", goals=[{"val/top1": 0.5}, {"val/top1": 0.7}])
    trial_id = parent.trial_run(result.trial)
    jobs = [train(root, parent_id=trial_id, name=f"fold {fold}", value=0.5) for fold in range(2)]
    parent.told(result, done=1, best=result)
    parent.finish("FINISHED", remains=write_remains(sweep, [result], root=root))

    # As if the same server were back: the folders say which one they wait for.
    for path in root.rglob("tracking.json"):
        identity = json.loads(path.read_text())
        path.write_text(json.dumps({**identity, "server": there}))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", there)
    send_pending(root)
    experiment = client(root).get_experiment_by_name("classification")
    found = client(root).search_runs([experiment.experiment_id], f"tags.run_id = '{parent.run_id}'")
    (at_server,) = found
    assert at_server.info.run_id != parent.run_id, "the server chose an id of its own"
    (trial,) = children(root, at_server.info.run_id)
    assert trial.data.tags["run_id"] == trial_id
    grandchildren = children(root, trial.info.run_id)
    assert {run.data.tags["run_id"] for run in grandchildren} == set(jobs)
    assert at_server.data.metrics["best/val/top1"] == pytest.approx(0.6)


@pytest.mark.slow
def test_the_report_needs_no_torch() -> None:
    code = (
        "import sys, pipeline.sweeps.parent, pipeline.sweeps.report, pipeline.sweeps.importance, optuna, "
        "optuna.importance._fanova._fanova; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
