"""Sweeps from the words to the last panel, with trainings that only pretend."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import record
from tests.commands import environment
from tests.pipeline.sweeps import PLAIN, Stage, staged

RATES = "optimizer.lr=0.1,0.01,0.001"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return staged(tmp_path, monkeypatch)


def statuses(stage: Stage) -> list[tuple[int, str]]:
    return [(outcome.number, outcome.status) for outcome in stage.sweep.outcomes]


def test_each_job_is_an_ordinary_run_with_its_own_words(stage: Stage) -> None:
    for name in ("LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED"):
        stage.monkeypatch.setenv(name, "1")
    assert (
        stage.run(*PLAIN, "hydra.sweeper.seed=3", RATES, "~callbacks.figures", "data.batch_size=16,32") == 0
    )
    calls = stage.calls()
    assert sorted(calls) == [f"{number}_0" for number in range(6)]
    fixed = ["model=lenet5", "logger=none", "~callbacks.figures"]
    combinations = [(rate, size) for rate in ("0.1", "0.01", "0.001") for size in (16, 32)]
    for number, (rate, size) in enumerate(combinations):
        called = calls[f"{number}_0"]
        own = [f"optimizer.lr={rate}", f"data.batch_size={size}"]
        assert called["words"] == ["-m", "pipeline.train", *fixed, *own, "hydra.mode=RUN"]
        around = called["environment"]
        assert around["PIPELINE_STARTED_AS"] == f"{stage.sweep.sweep_id}/{number}"
        tags = {"sweep": stage.sweep.sweep_id[:8], "trial": str(number), "job": str(number)}
        name = f"lr={rate} batch_size={size}"
        assert json.loads(around["PIPELINE_TAGS"]) == {**tags, "mlflow.runName": name}
        assert (
            not {"LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED"} & around.keys()
        )
        assert called["group"] != os.getpgrp(), "Ctrl-C would reach it twice"
    assert statuses(stage) == [(number, "FINISHED") for number in range(6)]
    first = stage.sweep.outcomes[0]
    assert first.overrides == ("optimizer.lr=0.1", "data.batch_size=16") and first.measures == {
        "val/top1": 0.5
    }
    assert (stage.root / str(first.folder)).is_dir() and first.run_id == "run_0_0"


def test_one_that_fails_leaves_the_others_whole(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.tell({1: {"code": 1, "said": "out of memory"}})
    assert stage.run(*PLAIN, RATES) == 1
    assert statuses(stage) == [(0, "FINISHED"), (1, "FAILED"), (2, "FINISHED")]
    assert stage.sweep.facts["status"] == "FINISHED"
    said = capsys.readouterr().out
    assert "job 2 of 3 has failed with exit code 1" in said
    assert "best" in said and "optimizer.lr=0.001" in said


def test_a_list_in_the_words_is_shown_as_it_is(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Not taken for markup, which `[/pictures]` would end and `[blue]` would vanish in."""
    words = ("task=style_transfer", "model=gatys", "logger=none", "data.style=[/pictures/a.jpg],[blue]")
    assert stage.run(*words, "hydra.sweeper.objectives={val/top1: max}") == 0
    said = "".join(capsys.readouterr().out.split())
    assert "style=[/pictures/a.jpg]" in said and "style=[blue]" in said


def test_a_failure_below_a_sweeper_of_hydra_itself_is_told(stage: Stage) -> None:
    assert stage.run(*PLAIN, "hydra/sweeper=basic", RATES) == 1  # the stand-in wants tags, and has none


def test_one_that_somebody_ends_is_gone_on_with(stage: Stage) -> None:
    """A signal to a job alone; the sweep trains the others."""
    stage.tell({1: {"code": 143}})
    assert stage.run(*PLAIN, RATES) == 1
    assert statuses(stage) == [(0, "FINISHED"), (1, "KILLED"), (2, "FINISHED")]
    assert stage.sweep.facts["status"] == "KILLED"
    stage.tell({})
    assert stage.run("resume=latest") == 0
    assert sorted(stage.calls()) == ["0_0", "1_0", "1_1", "2_0"]


def test_a_measure_that_is_missing_is_named(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.tell({0: {"measures": {"val/top5": 1.0}}, 1: {"measures": {"val/top1": None}}})
    assert stage.run(*PLAIN, RATES) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "trial 0: job 0 has no number for the objective 'val/top1'; did you mean 'val/top5'?" in said
    assert "trial 1: job 1 has no number" in said


def test_time_can_be_what_is_looked_for(stage: Stage) -> None:
    stage.tell({0: {"sleep": 0.6}})
    assert stage.run(*PLAIN, RATES, "hydra.sweeper.objectives={seconds: min}") == 0
    assert stage.sweep.objectives == {"seconds": "min"}
    assert stage.sweep.outcomes[0].seconds > 0.6


def test_side_by_side_each_has_gpus_of_its_own(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    stage.tell({number: {"sleep": 0.4} for number in range(4)} | {1: {"sleep": 0.4, "code": 1, "said": "no"}})
    words = ("optimizer.lr=0.1,0.01,0.001,0.2", "trainer=gpu", "hydra.launcher.devices_per_job=2")
    assert stage.run(*PLAIN, *words) == 1
    calls = stage.calls()
    assert {calls[f"{number}_0"]["environment"]["CUDA_VISIBLE_DEVICES"] for number in (0, 1)} == {
        "4,5",
        "6,7",
    }
    assert {calls[f"{number}_0"]["environment"]["CUDA_VISIBLE_DEVICES"] for number in (2, 3)} <= {
        "4,5",
        "6,7",
    }
    assert (
        abs(calls["1_0"]["began"] - calls["0_0"]["began"])
        < 0.4
        <= calls["2_0"]["began"] - calls["0_0"]["began"]
    )
    logs = {path.name: path.read_text() for path in (stage.sweep.folder / "jobs").glob("*.log")}
    assert sorted(logs) == ["0.log", "1.log", "2.log", "3.log"] and "job 2 speaks" in logs["2.log"]
    said = capsys.readouterr().out
    assert "job 1 speaks" in said and "job 2 speaks" not in said, (
        "only of a failed one the last lines are shown"
    )
    assert stage.sweep.outcomes[1].message == "no"


def test_on_a_cpu_jobs_says_how_many(stage: Stage) -> None:
    stage.monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    stage.tell({0: {"sleep": 1.0}})
    assert stage.run(*PLAIN, RATES, "trainer=cpu", "hydra.launcher.jobs=2") == 0
    calls = stage.calls()
    began = [calls[f"{number}_0"]["began"] for number in range(3)]
    assert began[2] - began[0] < 1.0, "a place that is free is taken at once"
    assert {call["environment"]["OMP_NUM_THREADS"] for call in calls.values()} == {
        str(max(1, len(os.sched_getaffinity(0)) // 2))
    }


def test_repetitions_count_by_their_mean(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    values = [0.8, 0.9, 0.7, 0.6, 0.65, 0.61]
    stage.tell({number: {"measures": {"val/top1": value}} for number, value in enumerate(values)})
    words = ("optimizer.lr=0.1,0.01", "hydra.sweeper.repeat={seed: [4, 5, 6]}")
    assert stage.run(*PLAIN, *words) == 0
    calls = stage.calls()
    assert calls["4_0"]["words"][-3:] == ["optimizer.lr=0.01", "seed=5", "hydra.mode=RUN"]
    assert json.loads(calls["4_0"]["environment"]["PIPELINE_TAGS"])["trial"] == "1"
    assert [outcome.trial for outcome in stage.sweep.outcomes] == [0, 0, 0, 1, 1, 1]
    mean, deviation = np.mean(values[:3]), np.std(values[:3], ddof=1)
    assert f"{mean:.4f} ± {deviation:.4f}" in capsys.readouterr().out


def stop_when(stage: Stage, call: str, number: int) -> None:
    """Send a signal once a job has been called and has a run."""

    def wait() -> None:
        while not list(stage.root.glob(f"outputs/*/*/run_{call}_0/run.json")):
            threading.Event().wait(0.05)
        threading.Event().wait(0.2)
        os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_an_interrupted_sweep_goes_on(number: int, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.tell({1: {"sleep": 60}})
    stop_when(stage, "1", number)
    before = signal.getsignal(number)
    assert stage.run(*PLAIN, RATES) == 128 + number
    assert signal.getsignal(number) is before
    assert statuses(stage) == [(0, "FINISHED"), (1, "KILLED")]
    assert stage.sweep.facts["status"] == "KILLED"
    assert f"make sweep resume={stage.sweep.sweep_id[:8]}" in capsys.readouterr().out

    assert stage.run("resume=latest") == 0
    assert statuses(stage) == [(0, "FINISHED"), (1, "FINISHED"), (2, "FINISHED")]
    calls = stage.calls()
    assert sorted(calls) == ["0_0", "1_0", "1_1", "2_0"]
    assert calls["1_1"]["words"] == ["-m", "pipeline.train", "resume=run_1_0", "hydra.mode=RUN"]
    assert calls["1_1"]["environment"]["PIPELINE_STARTED_AS"] == f"{stage.sweep.sweep_id}/1"
    assert calls["2_0"]["words"][-2] == "optimizer.lr=0.001"
    assert stage.sweep.facts["status"] == "FINISHED"

    assert stage.run("resume=latest") == 0
    assert len(stage.calls()) == 4, "nothing is done twice"


def test_what_was_done_before_a_kill_is_found(stage: Stage) -> None:
    """The lines of three jobs are missing: one had finished, one was at it, one had not begun."""
    assert stage.run(*PLAIN, "optimizer.lr=0.1,0.01,0.001,0.2") == 0
    lines = (stage.sweep.folder / "jobs.jsonl").read_text().splitlines(keepends=True)
    (stage.sweep.folder / "jobs.jsonl").write_text(lines[0] + lines[3][:40])
    facts = stage.root / "outputs/classification/lenet5/run_2_0/run.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "status": "RUNNING"}))
    (stage.root / "outputs/classification/lenet5/run_3_0/run.json").unlink()
    assert stage.run(f"resume={stage.sweep.sweep_id[:8]}") == 0
    calls = stage.calls()
    assert sorted(calls) == ["0_0", "1_0", "2_0", "2_1", "3_0", "3_1"]
    assert calls["2_1"]["words"][2] == "resume=run_2_0"
    assert "optimizer.lr=0.2" in calls["3_1"]["words"]
    assert statuses(stage) == [(number, "FINISHED") for number in range(4)]


def test_what_has_failed_is_tried_again_on_demand(stage: Stage) -> None:
    stage.tell({1: {"code": 1}})
    assert stage.run(*PLAIN, RATES) == 1
    stage.tell({})
    assert stage.run("resume=latest") == 1 and len(stage.calls()) == 3
    assert stage.run("resume=latest", "retry_failed=true") == 0
    assert sorted(stage.calls()) == ["0_0", "1_0", "1_1", "2_0"]
    assert "optimizer.lr=0.01" in stage.calls()["1_1"]["words"]


def test_the_same_sweep_twice_at_once_is_refused(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert stage.run(*PLAIN, RATES) == 0
    stage.monkeypatch.setattr(record, "_SECONDS_TO_WAIT", 0.1)
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(1); input()"
    python = os.path.realpath("/proc/self/exe")
    other = subprocess.Popen(
        [python, "-u", "-c", hold, str(stage.sweep.folder / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout is not None and other.stdout.readline()
    try:
        assert stage.run("resume=latest") == 2
    finally:
        other.communicate(b"\n")
    assert "another process" in capsys.readouterr().err
    assert len(stage.calls()) == 3


def test_a_requeued_job_of_slurm_goes_on_with_its_sweep(stage: Stage) -> None:
    stage.monkeypatch.setenv("SLURM_JOB_ID", "77")
    stage.tell({1: {"sleep": 60}})
    stop_when(stage, "1", signal.SIGTERM)
    assert stage.run(*PLAIN, RATES) == 143
    stage.monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert stage.run(*PLAIN, RATES) == 0
    assert statuses(stage) == [(number, "FINISHED") for number in range(3)]


def test_a_file_of_sweeps_makes_a_sweep_of_make_train(stage: Stage) -> None:
    folder = stage.root / "conf" / "sweep"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(
        "# @package _global_\n# Mine.\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    n_trials: 2\n"
        "    params:\n      optimizer.lr: 0.1,0.01,0.001\ntrainer:\n  max_epochs: 3\n"
    )
    from pipeline import compose, train

    words = ["--config-dir", str(stage.root / "conf"), *PLAIN, "sweep=mine"]
    stage.monkeypatch.setattr(sys, "argv", ["pipeline.train", *words])
    assert compose.run_verb(verb="train", start=train._start) == 0
    calls = stage.calls()
    assert sorted(calls) == ["0_0", "1_0"]
    expected = [*words[:2], *PLAIN, "sweep=mine", "optimizer.lr=0.01", "hydra.mode=RUN"]
    assert calls["1_0"]["words"][2:] == expected
    assert stage.run("resume=latest") == 0


SEEN = """
import sys
from pipeline import sweep
fake, sys.executable = sys.executable, sys.argv[1]
sys.argv[1:] = sys.argv[2:]
try:
    sweep.main()
finally:
    heavy = {"torch", "optuna", "pytorch_lightning"} & {name.split(".")[0] for name in sys.modules}
    print("modules", sorted(heavy))
"""


def test_the_process_that_sweeps_knows_no_torch(stage: Stage) -> None:
    """With MLflow, of which the parent's run is told."""
    fake, python = sys.executable, os.path.realpath("/proc/self/exe")
    done = subprocess.run(
        [Path(fake).read_text().splitlines()[0][2:] or python, "-c", SEEN, fake, "model=lenet5", RATES],
        env=environment(stage.root),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "modules []"
    tags = json.loads(stage.calls()["0_0"]["environment"]["PIPELINE_TAGS"])
    assert tags["mlflow.parentRunId"] == stage.sweep.sweep_id


def test_tags_and_name_reach_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pipeline import session
    from pipeline.compose import Composed, compose_plain

    given: dict[str, Any] = {}
    monkeypatch.setattr(session.build, "logger", lambda config, **values: given.update(values))
    monkeypatch.setenv("PIPELINE_TAGS", json.dumps({"mlflow.runName": "lr=1", "trial": "3", "model": "mine"}))
    config = compose_plain(verb="train", overrides=["model=lenet5"])
    nothing = Composed(
        verb="train", config=config, settings={}, overrides=[], root=tmp_path, show_traceback=False
    )
    session._logger(nothing, config=config)
    assert given["run_name"] == "lr=1" and given["tags"]["trial"] == "3" and given["tags"]["data"] == "digits"
    assert "mlflow.runName" not in given["tags"]
    monkeypatch.delenv("PIPELINE_TAGS")
    session._logger(nothing, config=config)
    assert given["run_name"] == "lenet5 on digits"


def test_what_trains_ends_with_its_crew(tmp_path: Path) -> None:
    """The pipe is closed by the system, however the crew ends."""
    waits = "from pipeline.crew import end_with_crew; end_with_crew(); import time; time.sleep(60)"
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", waits],
        pass_fds=[reading],
        env={**os.environ, "PIPELINE_CREW_PIPE": str(reading)},
    )
    os.close(reading)
    assert process.poll() is None
    os.close(writing)
    assert process.wait(timeout=30) == -signal.SIGTERM
