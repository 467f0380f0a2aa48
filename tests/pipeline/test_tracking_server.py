"""A real `mlflow server` that is killed in the middle of a run: every metric arrives, none twice."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from pipeline.tracking_file import PENDING_FILE
from tests.commands import eventually
from tests.mlflow_process import MlflowProcess
from tests.tracked import attached, start

STEPS = 3000


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowProcess]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = MlflowProcess(root=tmp_path, store=f"sqlite:///{tmp_path}/mlflow.db")
    running.start()
    yield running
    running.kill()


def rows(server: MlflowProcess, run_id: str, name: str) -> list[tuple[int, int, float]]:
    history = MlflowClient(server.uri).get_metric_history(run_id, name)
    return [(point.step, point.timestamp, point.value) for point in history]


@pytest.mark.slow
def test_a_server_killed_in_the_middle_of_a_run_costs_no_metric(
    tmp_path: Path, server: MlflowProcess
) -> None:
    tracker = start(tmp_path, uri=server.uri, interval=0.02)
    folder = attached(tmp_path, tracker)
    (folder / "figure.png").write_bytes(b"picture" * 1000)
    for step in range(STEPS):
        tracker.log_metrics({"train/loss": step / 7, "epoch": step // 100}, step=step)
        if step in (STEPS // 3, STEPS // 2):
            assert eventually(lambda: len(rows(server, tracker.run_id, "train/loss")) > 10)
            server.kill()  # while a batch is under way, as like as not
            tracker.log_file(folder / "figure.png", "figures")
        if step == STEPS // 3 + 100:
            server.start()
        time.sleep(0.001)
    assert (folder / PENDING_FILE).exists()
    server.start()
    assert eventually(lambda: not (folder / PENDING_FILE).exists(), patience=60)
    tracker.finish("FINISHED")
    for name in ("train/loss", "epoch"):
        seen = Counter(step for step, _, _ in rows(server, tracker.run_id, name))
        assert seen == Counter(range(STEPS))
    values = {step: value for step, _, value in rows(server, tracker.run_id, "train/loss")}
    assert values == {step: step / 7 for step in range(STEPS)}
    client = MlflowClient(server.uri)
    assert client.get_run(tracker.run_id).info.status == "FINISHED"
    assert [file.path for file in client.list_artifacts(tracker.run_id, "figures")] == ["figures/figure.png"]
