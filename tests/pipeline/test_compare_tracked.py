"""Where MLflow has a comparison: with its sweep, or as a run of its own; and when the server is away."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.comparing.choosing import Chosen
from pipeline.comparing.folders import new_folder
from pipeline.comparing.tracked import track
from pipeline.sweeps.folder import Sweep
from pipeline.tracking_file import PENDING_FILE
from pipeline.tracking_lock import claim, release
from pipeline.tracking_run import TrackedRun
from pipeline.tracking_store import artifact_location, tracking_uri
from tests.pipeline.compared import chosen, made_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def tracked(root: Path, folder: Path, *, name: str) -> str:
    """A run that MLflow knows, with its identity in a folder."""
    run = TrackedRun(
        experiment="classification",
        run_name=name,
        uri=tracking_uri(root),
        artifact_location=artifact_location(root),
        tags={},
        run_id=None,
        system_interval=None,
    )
    run.attach(folder)
    run.finish("KILLED" if name == "sweep" else "FINISHED")
    return run.run_id


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for number in range(2):
        made_run(tmp_path, number, lr=number, measures={"test/top1": 0.5})
        (folder,) = tmp_path.glob(f"outputs/*/*/*_{number:08x}")
        tracked(tmp_path, folder, name=f"run {number}")
    return tmp_path


def with_sweep(root: Path) -> Chosen:
    folder = root / "outputs" / "sweeps" / "2026-01-02_abcd"
    folder.mkdir(parents=True)
    run_id = tracked(root, folder, name="sweep")
    sweep = Sweep(folder=folder, facts={}).update(sweep_id=run_id, started=1.0, objectives={})
    found = chosen(root, task_name="classification")
    return Chosen(title="sweep", task=found.task, runs=found.runs, left_out={}, sweep=sweep)


def told(root: Path, what: Chosen) -> tuple[Any, Path]:
    folder = new_folder(root=root, output=None)
    (folder / "compare.html").write_text("<html></html>")
    return track(what, root=root, folder=folder, files=[folder / "compare.html"], runs=what.runs), folder


def client(root: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri(root))


def test_of_a_sweep_it_is_with_the_sweeps_run(root: Path) -> None:
    what = with_sweep(root)
    kept, folder = told(root, what)
    assert what.sweep is not None
    run_id = what.sweep.sweep_id
    files = client(root).list_artifacts(run_id, f"comparisons/{folder.name}")
    assert [Path(file.path).name for file in files] == ["compare.html"]
    assert client(root).get_run(run_id).info.status == "KILLED"  # as it was
    assert not (what.sweep.folder / PENDING_FILE).exists()
    assert run_id[:8] in kept.where and client(root).get_experiment_by_name("comparisons") is None


def test_of_a_sweep_that_still_runs_it_is_on_its_own(root: Path) -> None:
    what = with_sweep(root)
    assert what.sweep is not None and claim(what.sweep.folder)  # as its own process does
    try:
        kept, folder = told(root, what)
    finally:
        release(what.sweep.folder)
    assert not (what.sweep.folder / PENDING_FILE).exists()
    run_id = json.loads((folder / "tracking.json").read_text())["server_run_id"]
    assert client(root).get_run(run_id).data.tags["kind"] == "comparison"
    assert run_id[:8] in kept.where


def test_the_address_of_mlflows_own_page_names_the_runs_best_first(root: Path) -> None:
    from urllib.parse import parse_qs

    what = chosen(root, task_name="classification")
    kept, _ = told(root, what)
    address, _, words = kept.page.partition("?")
    assert address == "http://127.0.0.1:5000/#/compare-runs"
    ids = [json.loads((one.run.folder / "tracking.json").read_text())["server_run_id"] for one in what.runs]
    found = {key: json.loads(value) for key, (value,) in parse_qs(words).items()}
    assert found == {"runs": ids, "experiments": [client(root).get_run(ids[0]).info.experiment_id]}


def test_without_a_server_it_waits_in_its_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    kept, folder = told(root, chosen(root, task_name="classification"))
    assert "compare.html" in (folder / PENDING_FILE).read_text()
    assert kept.page == ""


def test_runs_without_mlflow_leave_none(tmp_path: Path) -> None:
    for number in range(2):
        made_run(tmp_path, number, lr=number, measures={"test/top1": 0.5})
    kept, _ = told(tmp_path, chosen(tmp_path))
    assert (kept.where, kept.page) == ("", "") and not (tmp_path / "mlflow.db").exists()
