"""A server that goes, comes back, is slow, is full or forgets: nothing is lost, nothing comes twice."""

import time
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from pipeline.tracking_file import PENDING_FILE
from pipeline.tracking_identity import IDENTITY_FILE
from pipeline.tracking_pending import send_pending
from tests.commands import eventually
from tests.tracked import Server, attached, points, start, warnings_of

pytestmark = pytest.mark.usefixtures("no_server_of_the_person")


def test_metrics_wait_while_the_server_is_away(
    root: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = start(root, uri=server.uri)
    folder = attached(root, tracker)
    tracker.log_metrics({"a": 0.0}, step=0)
    assert eventually(lambda: points(tracker.client, tracker.run_id, "a") == [(0, 0.0)])
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
    assert points(tracker.client, tracker.run_id, "a") == [(step, float(step)) for step in range(50)]


@pytest.mark.parametrize(
    "status",
    [
        "500 Internal Server Error",
        "503 Service Unavailable",
        "429 Too Many Requests",
        "507 Insufficient Storage",
        "401 Unauthorized",
        "404 Not Found",
    ],
)
def test_a_server_that_refuses_everything_is_an_outage(
    root: Path, server: Server, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = start(root, uri=server.uri)
    folder = attached(root, tracker)
    server.status = status
    for step in range(20):
        tracker.log_metrics({"a": float(step)}, step=step)
    assert eventually(lambda: bool(warnings_of(caplog)))
    assert f"MLflow at {server.uri}" in warnings_of(caplog)[0]
    assert len((folder / PENDING_FILE).read_text().splitlines()) == 20
    server.behave()
    assert eventually(lambda: not (folder / PENDING_FILE).exists())
    tracker.finish("FINISHED")
    assert points(tracker.client, tracker.run_id, "a") == [(step, float(step)) for step in range(20)]
    assert len(warnings_of(caplog)) == 1


def test_a_batch_whose_answer_is_lost_does_not_arrive_twice(root: Path, server: Server) -> None:
    tracker = start(root, uri=server.uri)
    attached(root, tracker)
    server.forgets = "runs/log-batch"
    tracker.log_config({"lr": 0.1})
    tracker.log_metrics({"a": 1.0, "nothing": float("nan"), "endless": float("inf")}, step=7)
    assert eventually(lambda: server.asked.count("runs/log-batch") > 2)
    tracker.log_metrics({"a": 2.0}, step=8)
    server.behave()
    tracker.finish("FINISHED")
    run = tracker.client.get_run(tracker.run_id)
    assert points(tracker.client, tracker.run_id, "a") == [(7, 1.0), (8, 2.0)]
    for name in ("nothing", "endless"):
        assert len(points(tracker.client, tracker.run_id, name)) == 1
    assert run.data.params == {"lr": "0.1"}
    assert not [key for key in run.data.tags if key.startswith("changed.")]


def test_a_run_that_was_made_though_no_answer_came_is_taken_and_not_made_again(
    tmp_path: Path, root: Path, server: Server
) -> None:
    server.forgets = "runs/create"
    tracker = start(tmp_path, uri=server.uri)
    folder = attached(tmp_path, tracker)
    tracker.log_metrics({"a": 1.0}, step=0)
    assert eventually(lambda: "runs/search" in server.asked)  # a second attempt looks before it makes
    server.behave()
    assert eventually(lambda: not (folder / PENDING_FILE).exists())
    tracker.finish("FINISHED")
    client = MlflowClient(server.uri)
    found = client.search_runs(["1"], f"tags.run_id = '{tracker.run_id}'")
    assert [run.data.metrics for run in found] == [{"a": 1.0}]
    mark = f"tags.`mlflow.pipeline.mark` = '{tracker.run_id}'"
    assert len(client.search_runs(["1"], mark)) == 1


def test_the_end_of_a_run_waits_for_a_slow_server_only_so_long(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = start(tmp_path, uri=server.uri, patience=0.5)
    folder = attached(tmp_path, tracker)
    assert eventually(lambda: not (folder / PENDING_FILE).exists())
    server.delay = 2.5
    tracker.log_metrics({"a": 1.0}, step=0)
    began = time.monotonic()
    ended = time.time() * 1000
    tracker.finish("FINISHED")
    assert time.monotonic() - began < 2.2
    assert "`make sync` or the next run" in warnings_of(caplog)[-1]
    assert len((folder / PENDING_FILE).read_text().splitlines()) == 2
    server.behave()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    assert eventually(lambda: not (folder / PENDING_FILE).exists() or send_pending(tmp_path) > 0)
    run = tracker.client.get_run(tracker.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"a": 1.0})
    assert abs(run.info.end_time - ended) < 1000, "when it ended, not when that was sent"


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
    assert "4 entries wait in pending_metrics.jsonl; `make sync` or the next" in warnings_of(caplog)[1]
    written = (folder / IDENTITY_FILE).read_text() + (folder / PENDING_FILE).read_text()
    assert "secret" not in written + caplog.text

    assert send_pending(tmp_path) == 0, "another server's"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    assert send_pending(tmp_path) == 0, "it is still away"
    server.start()
    assert send_pending(tmp_path) == 4
    client = MlflowClient(server.uri)
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


def test_a_resumed_run_that_found_no_server_does_not_say_anything_twice(
    root: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = start(tmp_path, uri=server.uri)
    attached(tmp_path, tracker)
    for step in range(5):
        tracker.log_metrics({"a": float(step)}, step=step)
    assert eventually(lambda: len(points(tracker.client, tracker.run_id, "a")) == 5)
    server.stop()
    for step in range(5, 10):
        tracker.log_metrics({"a": float(step)}, step=step)
    tracker.finish("KILLED")
    again = start(tmp_path, uri=server.uri, run_id=tracker.run_id)
    attached(tmp_path, again)
    for step in range(3, 12):  # 3 and 4 the server has, 5 to 9 wait on disk
        again.log_metrics({"a": float(step)}, step=step)
    again.log_metrics({"a": 100.0}, step=11)  # measured once more, on the kept weights
    again.finish("FINISHED")
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    assert send_pending(tmp_path) > 0
    expected = [(step, float(step)) for step in range(12)] + [(11, 100.0)]
    assert points(MlflowClient(server.uri), tracker.run_id, "a") == expected
    assert MlflowClient(server.uri).get_run(tracker.run_id).info.status == "FINISHED"
