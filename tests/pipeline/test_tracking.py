"""What MLflow is told, with real databases and a real server that comes and goes."""

import json
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning_utilities.core.rank_zero import rank_zero_only

from pipeline.tracking import MlflowTracker, prepare_store, send_pending, tracking_uri
from pipeline.tracking_identity import IDENTITY_FILE, Identity
from pipeline.tracking_queue import PENDING_FILE, Entry
from pipeline.tracking_server import ServerRun
from tests.commands import eventually

PATIENCE = 20.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a database: to make one takes seconds, so the tests of this file share it."""
    folder = tmp_path_factory.mktemp("root")
    prepare_store(tracking_uri(folder))
    return folder


@pytest.fixture(autouse=True)
def no_server_of_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def start(root: Path, *, uri: str = "", run_id: str | None = None, **options: Any) -> MlflowTracker:
    return MlflowTracker(
        experiment="classification",
        run_name="lenet5",
        uri=uri or tracking_uri(root),
        artifact_location=str(root / "mlartifacts"),
        tags={"host": "here"},
        run_id=run_id,
        **{"interval": 0.05, "system_interval": None, **options},
    )


def attached(root: Path, tracker: MlflowTracker) -> Path:
    folder = root / "outputs" / "classification" / "lenet5" / f"now_{tracker.run_id[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    tracker.attach(folder)
    return folder


def points(tracker: MlflowTracker, run_id: str, name: str) -> list[tuple[int, float]]:
    """Step and value of every point of a metric, as the server has them."""
    history = tracker.experiment.get_metric_history(run_id, name)
    return sorted((point.step, point.value) for point in history)


def test_a_run_arrives_whole(root: Path) -> None:
    tracker = start(root)
    folder = attached(root, tracker)
    tracker.log_config({"model": {"name": "lenet5"}, "long": "y" * 5000, "longer": "z" * 7000})
    tracker.log_input({"name": "digits", "sizes": {"train": 3, "test": 1}, "digest": "d" * 64})
    for step in range(1500):  # more than MLflow takes in one batch
        tracker.log_metrics({"val/top1": step / 1500, "map@0.5": float("nan")}, step=step)
    (folder / "figures").mkdir()
    (folder / "figures" / "a.png").write_bytes(b"picture")
    tracker.log_file(folder / "figures" / "a.png", "figures")
    tracker.finish("FINISHED")

    client, run_id = tracker.experiment, tracker.run_id
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.name"] == "lenet5"
    assert run.data.params["long"] == "y" * 5000
    assert run.data.params["longer"] == "see parameters/longer.txt"
    assert Path(client.download_artifacts(run_id, "parameters/longer.txt")).read_text() == "z" * 7000
    assert points(tracker, run_id, "val/top1") == [(step, step / 1500) for step in range(1500)]
    assert len(points(tracker, run_id, "map_0.5")) == 1500
    assert run.data.tags["host"] == "here"
    assert run.inputs is not None
    dataset = run.inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("digits", "d" * 36)
    assert json.loads(str(dataset.profile))["sizes"] == {"train": 3, "test": 1}
    assert [file.path for file in client.list_artifacts(run_id, "figures")] == ["figures/a.png"]
    assert not (folder / PENDING_FILE).exists()


def test_a_resumed_run_goes_on_without_saying_anything_twice(root: Path) -> None:
    tracker = start(root)
    attached(root, tracker)
    tracker.log_config({"lr": 0.1, "seed": 0})
    for step in range(10):
        tracker.log_metrics({"train/loss": step}, step=step)
    tracker.finish("FAILED")

    again = start(root, run_id=tracker.run_id)
    attached(root, again)
    again.log_config({"lr": 0.2, "seed": 0})
    assert again.run_id == tracker.run_id
    assert eventually(lambda: again.experiment.get_run(again.run_id).info.status == "RUNNING")
    for step in range(6, 13):  # 6 to 9 are done again
        again.log_metrics({"train/loss": 100 + step}, step=step)
    again.log_metrics({"val/loss": 1.0}, step=7)  # never said before, so not a repetition
    again.finish("FINISHED")

    run = again.experiment.get_run(again.run_id)
    assert run.info.status == "FINISHED"
    expected = [(step, step) for step in range(10)] + [(step, 100 + step) for step in range(10, 13)]
    assert points(again, again.run_id, "train/loss") == expected
    assert points(again, again.run_id, "val/loss") == [(7, 1.0)]
    assert run.data.params["lr"] == "0.1"
    assert run.data.tags["changed.lr"] == "0.2"
    assert "changed.seed" not in run.data.tags


def test_a_refused_entry_does_not_hold_up_the_others(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = start(root)
    attached(root, tracker)
    tracker._put([Entry(kind="metric", key="bad\0name", value=1.0, step=0, time=1)])
    tracker.log_metrics({"good": 1.0}, step=0)
    tracker.log_file(root / "never_there.png")
    tracker.finish("FINISHED")
    assert points(tracker, tracker.run_id, "good") == [(0, 1.0)]
    assert tracker.experiment.get_run(tracker.run_id).info.status == "FINISHED"
    assert "MLflow refused metric" in caplog.text
    assert "never_there.png was gone" in caplog.text


def test_a_run_deleted_while_it_runs_is_brought_back(root: Path) -> None:
    tracker = start(root)
    attached(root, tracker)
    tracker.log_metrics({"a": 1.0}, step=0)
    assert eventually(lambda: points(tracker, tracker.run_id, "a") == [(0, 1.0)])
    tracker.experiment.delete_run(tracker.run_id)
    tracker.log_metrics({"a": 2.0}, step=1)
    assert eventually(lambda: points(tracker, tracker.run_id, "a") == [(0, 1.0), (1, 2.0)])
    tracker.finish("FINISHED")


def test_other_ranks_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    tracker = start(tmp_path)
    folder = attached(tmp_path, tracker)
    tracker.log_metrics({"a": 1.0}, step=0)
    tracker.finish("FINISHED")
    assert tracker.run_id == ""
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "mlflow.db").exists()


def test_load_of_the_machine_is_sampled(root: Path) -> None:
    tracker = start(root, system_interval=0.1)
    attached(root, tracker)
    time.sleep(0.5)
    tracker.finish("FINISHED")
    assert "system/cpu_utilization_percentage" in tracker.experiment.get_run(tracker.run_id).data.metrics


def _train_until_killed(root: Path, ready: Any) -> None:
    tracker = start(root, interval=1000.0)
    attached(root, tracker)
    for step in range(5):
        tracker.log_metrics({"train/loss": step}, step=step)
    ready.send(tracker.run_id)
    time.sleep(60)


def test_metrics_of_a_killed_run_are_sent_by_the_next(root: Path) -> None:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_train_until_killed, args=(root, sender))
    process.start()
    assert receiver.poll(PATIENCE)
    run_id = receiver.recv()
    assert send_pending(root) == 0, "a run that is alive keeps its own"
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()

    with next(root.rglob(PENDING_FILE)).open("a") as file:
        file.write('{"kind": "metric", "key": "half a li')
    assert send_pending(root) == 5
    assert send_pending(root) == 0
    reader = ServerRun(uri=tracking_uri(root), identity=identity()).client
    assert [point.step for point in reader.get_metric_history(run_id, "train/loss")] == list(range(5))


def identity() -> Identity:
    """Of nobody; for a client to look with."""
    return Identity(
        run_id="",
        server="",
        server_run_id="",
        experiment="e",
        run_name="r",
        artifact_location=None,
        started=1,
    )


class Server:
    """MLflow's own server on a port of this machine, to be stopped and started in milliseconds."""

    def __init__(self) -> None:
        self._server: Any = None
        self.port = 0
        self.start()
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        from mlflow.server import app
        from werkzeug.serving import make_server

        self._server = make_server("127.0.0.1", self.port, app, threaded=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", tracking_uri(root))
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(root / "mlartifacts"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = Server()
    yield running
    running.stop()


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_metrics_wait_while_the_server_is_away(
    root: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = start(root, uri=server.uri)
    folder = attached(root, tracker)
    tracker.log_metrics({"a": 0.0}, step=0)
    assert eventually(lambda: points(tracker, tracker.run_id, "a") == [(0, 0.0)])
    server.stop()
    began = time.monotonic()
    for step in range(1, 50):
        tracker.log_metrics({"a": float(step)}, step=step)
    assert time.monotonic() - began < 1.0, "training waited for the server"
    assert eventually(lambda: bool(warnings_of(caplog)))
    time.sleep(0.3)  # several attempts
    assert len(warnings_of(caplog)) == 1
    assert f"MLflow at {server.uri} does not answer; training goes on" in warnings_of(caplog)[0]
    assert len((folder / PENDING_FILE).read_text().splitlines()) == 49
    server.start()
    assert eventually(lambda: not (folder / PENDING_FILE).exists())
    tracker.finish("FINISHED")
    assert points(tracker, tracker.run_id, "a") == [(step, float(step)) for step in range(50)]


def test_a_run_may_begin_and_end_without_its_server(
    root: Path,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.stop()
    tracker = start(tmp_path, uri=server.uri.replace("//", "//name:secret@"))
    assert len(tracker.run_id) == 32
    folder = attached(tmp_path, tracker)
    tracker.log_config({"lr": 0.1})
    tracker.log_metrics({"a": 1.0}, step=0)
    (folder / "metrics.json").write_text("{}")
    tracker.log_file(folder / "metrics.json")
    tracker.finish("FINISHED")
    assert len(warnings_of(caplog)) == 2
    assert "4 entries wait in pending_metrics.jsonl; the next run on" in warnings_of(caplog)[1]
    written = (folder / IDENTITY_FILE).read_text() + (folder / PENDING_FILE).read_text()
    assert "secret" not in written + caplog.text

    assert send_pending(tmp_path) == 0, "another server's"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    assert send_pending(tmp_path) == 0, "it is still away"
    server.start()
    assert send_pending(tmp_path) == 4
    client = ServerRun(uri=server.uri, identity=identity()).client
    run = client.search_runs(["1"], f"tags.run_id = '{tracker.run_id}'")[0]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "lenet5"
    assert run.data.params == {"lr": "0.1"}
    assert run.data.metrics == {"a": 1.0}
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["metrics.json"]

    again = start(tmp_path, uri=server.uri, run_id=tracker.run_id)
    attached(tmp_path, again)
    again.log_metrics({"a": 2.0}, step=1)
    again.finish("KILLED")
    assert client.get_run(run.info.run_id).info.status == "KILLED", "the same run, not a third one"
