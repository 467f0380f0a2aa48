"""A job of SLURM that is put into the queue again goes on in the run it had begun."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline import requeue, train
from pipeline.compose import CONF, Composed
from pipeline.errors import StopRequested
from pipeline.runs import STARTED_AS, all_runs
from pipeline.stopping import StopSignals

WORDS = ["task=classification", "model=lenet5"]


@pytest.fixture(autouse=True)
def _a_requeued_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_STEP_ID", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")


def composed(root: Path, *, resume: str | None = None) -> Composed:
    return Composed(
        verb="train",
        config={"trainer": {}},
        settings={"resume": resume, "seed": 0},
        overrides=WORDS,
        root=root,
        show_traceback=False,
    )


def begun(root: Path, name: str, **facts: Any) -> str:
    """A run on disk."""
    folder = root / "outputs" / "classification" / "lenet5" / name
    folder.mkdir(parents=True)
    known = {"started": 1.0, "run_id": name * 32, "status": "KILLED", "slurm_job": "77", "overrides": WORDS}
    (folder / "run.json").write_text(json.dumps({**known, **facts}))
    return name * 32


def test_the_latest_run_of_the_same_command_and_job_goes_on(tmp_path: Path) -> None:
    begun(tmp_path, "a")
    wanted = begun(tmp_path, "b", started=2.0)
    begun(tmp_path, "c", started=3.0, slurm_job="78")
    begun(tmp_path, "d", started=3.0, overrides=["model=resnet8"])
    run = requeue.earlier_attempt(composed(tmp_path))
    assert run is not None and run.run_id == wanted
    goes_on = requeue.going_on(composed(tmp_path), run)
    # Only `resume=` counts as typed: `make train resume=... model=lenet5` would be refused.
    assert (goes_on.settings["resume"], goes_on.settings["seed"], goes_on.overrides) == (wanted, 0, [])


def test_a_job_that_starts_for_the_first_time_begins_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(tmp_path, "a")
    assert requeue.earlier_attempt(composed(tmp_path, resume="latest")) is None
    monkeypatch.delenv("SLURM_RESTART_COUNT")
    assert requeue.earlier_attempt(composed(tmp_path)) is None
    monkeypatch.setenv("SLURM_RESTART_COUNT", "0")
    assert requeue.earlier_attempt(composed(tmp_path)) is None


def test_a_command_that_had_ended_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(tmp_path, "a", status="FINISHED")
    monkeypatch.setattr(train, "launch", lambda _: pytest.fail("it was trained again"))
    assert train._start(composed(tmp_path)) == 0


def test_one_that_had_ended_is_found_by_who_starts_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = begun(tmp_path, "a", status="FINISHED", started_as="before")
    monkeypatch.setenv(STARTED_AS, "now")
    assert train._start(composed(tmp_path)) == 0
    (run,) = all_runs(root=tmp_path)
    assert (run.run_id, run.facts["started_as"], run.facts["status"]) == (wanted, "now", "FINISHED")


def test_whoever_started_a_training_puts_the_job_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("the training did"))
    monkeypatch.setenv(STARTED_AS, "now")
    requeue.put_back()


def test_an_element_of_an_array_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert requeue.job() == "77"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "70")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert requeue.job() == "70_3"
    for name in ("SLURM_ARRAY_JOB_ID", "SLURM_JOB_ID"):
        monkeypatch.delenv(name)
    assert requeue.job() is None


@pytest.mark.parametrize(("code", "number", "times"), [(138, 0, 1), (138, 1, 0), (143, 0, 0), (0, 0, 0)])
def test_the_first_process_puts_the_job_back_once_it_was_warned(
    code: int, number: int, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"STEP_ID": 0, "STEP_NUM_TASKS": 2, "PROCID": number, "RESTART_COUNT": 0}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    tool = tmp_path / "scontrol"
    tool.write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/called\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(train, "_begin", lambda _: code)
    assert train._start(composed(tmp_path)) == code
    called = tmp_path / "called"
    assert (called.read_text() if called.exists() else "") == "requeue 77\n" * times


def test_a_queue_that_refuses_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    requeue.put_back()
    assert "submit the job again with resume=" in capsys.readouterr().err


def test_a_second_warning_is_no_impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = StopSignals()
    with stop.put_off():
        stop._handle(signal.SIGUSR1, None)
        stop._handle(signal.SIGUSR1, None)
        assert stop.requested == signal.SIGUSR1
        with pytest.raises(StopRequested):
            stop._handle(signal.SIGTERM, None)


def test_the_script_that_is_shown_is_the_file() -> None:
    docs = CONF.parent / "docs"
    script = (docs / "slurm.sh").read_text()
    assert f"```bash\n{script}```" in (docs / "cluster.md").read_text()
    # What this project relies on: a warning in time, and that the job may be put back.
    assert f"--signal={requeue.REQUEUE.name.removeprefix('SIG')}@" in script and "--requeue" in script
    subprocess.run(["bash", "-n", str(docs / "slurm.sh")], check=True)
