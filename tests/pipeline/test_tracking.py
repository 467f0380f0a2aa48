"""What MLflow is told, with real databases."""

import json
import multiprocessing
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from lightning_utilities.core.rank_zero import rank_zero_only
from mlflow.tracking import MlflowClient
from PIL import Image

from pipeline.tracking import tracking_uri
from pipeline.tracking_file import PENDING_FILE, Entry
from pipeline.tracking_pending import send_pending
from tests.commands import eventually
from tests.tracked import attached, points, start

PATIENCE = 20.0

pytestmark = pytest.mark.usefixtures("no_server_of_the_person")


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
    assert points(tracker.client, run_id, "val/top1") == [(step, step / 1500) for step in range(1500)]
    assert len(points(tracker.client, run_id, "map_0.5")) == 1500
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
    assert points(again.client, again.run_id, "train/loss") == expected
    assert points(again.client, again.run_id, "val/loss") == [(7, 1.0)]
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
    assert points(tracker.client, tracker.run_id, "good") == [(0, 1.0)]
    assert tracker.experiment.get_run(tracker.run_id).info.status == "FINISHED"
    assert "MLflow refused metric" in caplog.text
    assert "never_there.png was gone" in caplog.text


def test_a_run_deleted_while_it_runs_is_brought_back(root: Path) -> None:
    tracker = start(root)
    attached(root, tracker)
    tracker.log_metrics({"a": 1.0}, step=0)
    assert eventually(lambda: points(tracker.client, tracker.run_id, "a") == [(0, 1.0)])
    tracker.experiment.delete_run(tracker.run_id)
    tracker.log_metrics({"a": 2.0}, step=1)
    assert eventually(lambda: points(tracker.client, tracker.run_id, "a") == [(0, 1.0), (1, 2.0)])
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


def test_a_run_of_no_time_has_one_sample(root: Path) -> None:
    tracker = start(root, system_interval=100.0)
    attached(root, tracker)
    tracker.finish("FINISHED")
    assert len(points(tracker.client, tracker.run_id, "system/cpu_utilization_percentage")) == 1


def test_pictures_of_steps_have_the_names_that_the_pages_read(root: Path) -> None:
    """Name, step and time between plus signs, as MLflow's pages want them."""
    tracker = start(root)
    folder = attached(root, tracker)
    for step in (0, 4):
        Image.new("RGB", (1280, 400), (step, 0, 0)).save(folder / f"p_epoch_{step:03d}.png")
        tracker.log_image(folder / f"p_epoch_{step:03d}.png", name="predictions/val", step=step)
    tracker.finish("KILLED")
    again = start(root, run_id=tracker.run_id)
    attached(root, again)
    again.log_image(folder / "p_epoch_004.png", name="predictions/val", step=4)  # the epoch is done again
    again.finish("FINISHED")
    client, run_id = again.client, again.run_id
    assert client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"
    names = sorted(Path(file.path).name for file in client.list_artifacts(run_id, "images"))
    parts = [
        re.fullmatch(r"predictions~val\+step\+(\d)\+timestamp\+\d+\+[\w-]+?(\+compressed.webp|.png)", name)
        for name in names
    ]
    assert [part and part.groups() for part in parts] == [
        ("0", "+compressed.webp"),
        ("0", ".png"),
        ("4", "+compressed.webp"),
        ("4", ".png"),
    ]
    small = Image.open(client.download_artifacts(run_id, f"images/{names[2]}"))
    whole = Image.open(client.download_artifacts(run_id, f"images/{names[3]}"))
    assert (small.size, whole.size) == ((640, 200), (1280, 400))
    assert whole.getpixel((0, 0)) == (4, 0, 0)


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
    reader = MlflowClient(tracking_uri(root))
    assert [point.step for point in reader.get_metric_history(run_id, "train/loss")] == list(range(5))
