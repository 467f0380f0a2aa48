"""PostgreSQL as the place where runs are remembered, reached directly and behind `mlflow server`."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from pipeline.tracking_identity import password_of, public_address, without_secrets
from pipeline.tracking_store import prepare_library, prepare_store, tracking_uri
from tests import postgres
from tests.commands import environment, eventually
from tests.mlflow_process import MlflowProcess
from tests.tracked import attached, points, start

UNREACHABLE = "postgresql://somebody:secret@127.0.0.1:1/runs"


def test_an_address_without_a_driver_gets_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", UNREACHABLE)
    assert tracking_uri(tmp_path) == UNREACHABLE.replace("postgresql", "postgresql+pg8000")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg2://host/runs")
    assert tracking_uri(tmp_path) == "postgresql+psycopg2://host/runs"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql+pg8000://me:secret@host:5432/runs", "postgresql+pg8000://host:5432/runs"),
        (
            "postgresql+pg8000:///runs?user=me&password=secret&host=h",
            "postgresql+pg8000:///runs?user=me&password=...&host=h",
        ),
        # As SQLAlchemy reads them, and as the web does.
        ("postgresql+pg8000://me:x/secret@host:5432/runs", "postgresql+pg8000://host:5432/runs"),
        (
            "postgresql+pg8000://me:a?[secret/@host/runs?token=secret",
            "postgresql+pg8000://host/runs?token=...",
        ),
        ("http://me@mail.org:secret@host:5000/a", "http://host:5000/a"),
    ],
)
def test_a_password_is_never_shown(uri: str, shown: str) -> None:
    assert public_address(uri) == shown
    password = password_of(uri) or "secret"
    assert "secret" not in without_secrets(f"cannot reach {uri} with {password}", uri)


def test_a_database_that_is_away_costs_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", UNREACHABLE)
    prepare_library()  # which alone takes seconds
    began = time.monotonic()
    tracker = start(tmp_path, uri=tracking_uri(tmp_path))
    attached(tmp_path, tracker)
    tracker.log_metrics({"a": 1.0}, step=0)
    tracker.finish("FINISHED")
    assert time.monotonic() - began < 20, "MLflow by itself takes 102"
    assert "MLflow at postgresql+pg8000://127.0.0.1:1/runs does not answer" in caplog.text
    assert "secret" not in caplog.text


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres.running() as uri:
        yield uri


CREATE_TOGETHER = """
import sys
import time
from pipeline.tracking_store import prepare_store
prepare_store(sys.argv[1])
from mlflow.tracking import MlflowClient
MlflowClient(sys.argv[1]).create_run("0")
"""


@pytest.mark.slow
def test_processes_may_create_the_tables_at_once(database: str) -> None:
    command = [sys.executable, "-c", CREATE_TOGETHER, database]
    repository = Path(__file__).parents[2]
    processes = [subprocess.Popen(command, cwd=repository, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [process.communicate(timeout=200)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert len(MlflowClient(database).search_runs(["0"])) == 2


@pytest.mark.slow
def test_a_run_is_told_to_postgres_directly_and_nothing_comes_twice(database: str, tmp_path: Path) -> None:
    prepare_store(database)
    tracker = start(tmp_path, uri=database)
    folder = attached(tmp_path, tracker)
    tracker.log_config({"lr": 0.1, "long": "y" * 5000})
    tracker.log_input({"name": "digits", "sizes": {"train": 3}, "digest": "d" * 64})
    numbers = {"a": 1 / 3, "nothing": float("nan"), "endless": float("-inf")}
    for step in range(1200):
        tracker.log_metrics(numbers, step=step)
    assert eventually(lambda: len(points(tracker.client, tracker.run_id, "a")) == 1200, patience=60)
    again = [point for name in numbers for point in tracker.client.get_metric_history(tracker.run_id, name)]
    for begin in range(0, len(again), 900):  # as after an answer that was lost
        tracker.client.log_batch(tracker.run_id, again[begin : begin + 900])
    (folder / "metrics.json").write_text("{}")
    tracker.log_file(folder / "metrics.json")
    tracker.finish("FINISHED")
    run = tracker.client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"lr": "0.1", "long": "y" * 5000}
    assert points(tracker.client, tracker.run_id, "a") == [(step, 1 / 3) for step in range(1200)]
    for name in ("nothing", "endless"):
        assert len(points(tracker.client, tracker.run_id, name)) == 1200
    assert [file.path for file in tracker.client.list_artifacts(tracker.run_id)] == ["metrics.json"]


@pytest.mark.slow
def test_a_server_over_postgres(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    prepare_store(database)
    server = MlflowProcess(root=tmp_path, store=database)
    server.start()
    try:
        tracker = start(tmp_path, uri=server.uri)
        folder = attached(tmp_path, tracker)
        tracker.log_metrics({"a": 1.0}, step=0)
        (folder / "metrics.json").write_text("{}")
        tracker.log_file(folder / "metrics.json")
        tracker.finish("FINISHED")
        run = MlflowClient(server.uri).get_run(tracker.run_id)
        assert (run.info.status, run.data.metrics) == ("FINISHED", {"a": 1.0})
        assert [file.path for file in tracker.client.list_artifacts(tracker.run_id)] == ["metrics.json"]
    finally:
        server.kill()
    assert MlflowClient(database).get_run(tracker.run_id).data.metrics == {"a": 1.0}


@pytest.mark.slow
def test_make_ui_serves_postgres_and_shows_no_password(database: str, tmp_path: Path) -> None:
    prepare_store(database)
    said = tmp_path / "said"
    with said.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.ui", f"port={postgres.free_port()}"],
            env={**environment(tmp_path), "MLFLOW_TRACKING_URI": database},
            cwd=Path(__file__).parents[2],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        assert eventually(lambda: "MLflow answers at" in said.read_text(), patience=120), said.read_text()
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert "mlflow server" in shown
        assert postgres.PASSWORD not in shown + said.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert not (tmp_path / "mlflow.db").exists()
