"""A packed network on its way to MLflow: whole, once, and after an outage too."""

import logging
from pathlib import Path

import pytest
from mlflow.artifacts import download_artifacts
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from pipeline.tracking_file import PENDING_FILE
from pipeline.tracking_models import NAME, model_of, send_model
from pipeline.tracking_pending import send_pending
from pipeline.tracking_store import tracking_uri
from tests.tracked import Server, attached, points, start

pytestmark = pytest.mark.usefixtures("no_server_of_the_person")


def packed(folder: Path, *, weights: bytes = b"weights") -> Path:
    """What stands for a packed network."""
    path = folder / NAME
    (path / "data" / "network").mkdir(parents=True)
    (path / "data" / "network" / "network.ckpt").write_bytes(weights)
    Model(metadata={"task": "classification", "model": "lenet5", "run_id": "1"}).save(str(path / "MLmodel"))
    return path


def models_of(client: MlflowClient, run_id: str) -> list[str]:
    outputs = client.get_run(run_id).outputs
    return [model.model_id for model in outputs.model_outputs] if outputs else []


def test_a_network_becomes_a_model_of_its_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # By which MLflow looks for models; a server of another test may have set it for the whole process.
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", tracking_uri(root))
    tracker = start(root)
    folder = attached(root, tracker)
    tracker.log_metrics({"val/top1": 0.5}, step=3)
    tracker.log_metrics({"val/top1": 0.9, "test/top1": 0.8, "train/loss": 0.1}, step=7)
    tracker.log_model(packed(folder))
    tracker.finish("FINISHED")

    client, run_id = tracker.client, tracker.run_id
    (model_id,) = models_of(client, run_id)
    model = client.get_logged_model(model_id)
    assert (model.name, str(model.status), model.source_run_id) == (NAME, "READY", run_id)
    assert model.model_type == "classification"
    assert model.params == {"task": "classification", "model": "lenet5"}
    assert {metric.key: metric.value for metric in model.metrics or []} == {"val/top1": 0.9, "test/top1": 0.8}
    assert points(client, run_id, "val/top1") == [(3, 0.5), (7, 0.9)], "the run has each point once"
    for address in (f"models:/{model_id}", f"runs:/{run_id}/{NAME}"):
        described = Model.load(download_artifacts(address))
        assert (described.model_id, described.run_id) == (model_id, run_id)
    assert not (folder / NAME).exists(), "the weights lie on the disk once"
    assert not (folder / PENDING_FILE).exists()


def test_the_same_network_is_not_sent_twice_and_another_one_is(root: Path, tmp_path: Path) -> None:
    tracker = start(root)
    attached(root, tracker)
    tracker.finish("FINISHED")
    client, run_id = tracker.client, tracker.run_id
    assert model_of(client, run_id) is None
    for _ in range(2):
        send_model(client=client, run_id=run_id, folder=packed(tmp_path))
    (first,) = models_of(client, run_id)
    send_model(client=client, run_id=run_id, folder=packed(tmp_path, weights=b"others"))
    assert len(models_of(client, run_id)) == 2
    newest = model_of(client, run_id)
    assert newest is not None and newest.model_id != first


def test_an_interrupted_sending_goes_on_with_the_same_model(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = start(root)
    attached(root, tracker)
    tracker.finish("FINISHED")
    client, run_id, folder = tracker.client, tracker.run_id, packed(tmp_path)

    def lost(*_: object) -> None:
        raise ConnectionError("in the middle of it")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_model_artifacts", lost)
        with pytest.raises(ConnectionError):
            send_model(client=client, run_id=run_id, folder=folder)
    assert folder.exists() and model_of(client, run_id) is None
    send_model(client=client, run_id=run_id, folder=folder)
    (model_id,) = models_of(client, run_id)
    found = model_of(client, run_id)
    assert found is not None and found.model_id == model_id


def test_a_network_waits_while_the_server_is_gone(server: Server, root: Path) -> None:
    tracker = start(root, uri=server.uri)
    folder = attached(root, tracker)
    server.stop()
    tracker.log_model(packed(folder))
    tracker.finish("FINISHED")
    assert (folder / NAME / "MLmodel").exists() and (folder / PENDING_FILE).exists()

    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", server.uri)
        assert send_pending(root) > 0
        assert send_pending(root) == 0
    client = MlflowClient(server.uri)
    found = model_of(client, tracker.run_id)
    assert found is not None
    assert len(models_of(client, tracker.run_id)) == 1
    assert not (folder / NAME).exists()


def test_a_folder_that_somebody_removed_does_not_hold_up_the_rest(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = start(root)
    folder = attached(root, tracker)
    tracker.log_model(folder / NAME)
    with caplog.at_level(logging.WARNING):
        tracker.finish("FINISHED")
    assert "was gone before" in caplog.text
    assert not (folder / PENDING_FILE).exists()
    assert models_of(tracker.client, tracker.run_id) == []
