"""Members that train one after the other and side by side, with a make train that only pretends to."""

import json
import os
import signal
import stat
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import crew, ensemble, members, places, requeue
from pipeline.compose import Composed, compose_plain, settings_of
from pipeline.errors import Mistake

# Writes down how it was called, leaves a run behind, and ends as it is told to.
FAKE = """#!{python}
import json, os, pathlib, sys, time
words = dict(word.split("=", 1) for word in sys.argv[3:])
seed = words["seed"]
root = pathlib.Path(os.environ["PIPELINE_ROOT"])
names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PIPELINE_STARTED_AS")
called = {{"words": sys.argv[1:], "began": time.time(), **{{name: os.environ.get(name) for name in names}}}}
(root / f"called_{{seed}}.json").write_text(json.dumps(called))
print("trained with seed", seed, flush=True)
code = json.loads((root / "codes.json").read_text()).get(seed, 0)
if code != 2:
    folder = root / "outputs" / "classification" / "lenet5" / f"run_{{seed}}"
    folder.mkdir(parents=True)
    facts = {{"run_id": seed * 32, "started": int(seed), "started_as": os.environ["PIPELINE_STARTED_AS"]}}
    (folder / "draft").write_text(json.dumps(facts))
    (folder / "draft").rename(folder / "run.json")  # whole from the beginning, as a run's is
time.sleep(float(words.get("sleep", 0)))
sys.exit(code)
"""


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Composed:
    fake = tmp_path / "python"
    fake.write_text(FAKE.format(python=sys.executable))
    fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(crew, "usable_cores", lambda: 6)
    monkeypatch.setattr(places.shutil, "which", lambda _: None)
    (tmp_path / "codes.json").write_text("{}")
    words = ["model=lenet5", "members=3", "seed=4", "fusion=majority"]
    config = compose_plain(verb="ensemble", overrides=words)
    settings = settings_of(verb="ensemble", config=config)
    return Composed(
        verb="ensemble", config=config, settings=settings, overrides=words, root=tmp_path, show_traceback=True
    )


def told(composed: Composed, **codes: int) -> None:
    wanted = {name.removeprefix("seed_"): code for name, code in codes.items()}
    (composed.root / "codes.json").write_text(json.dumps(wanted))


def called(composed: Composed) -> dict[int, dict[str, Any]]:
    paths = composed.root.glob("called_*.json")
    return {int(path.stem.partition("_")[2]): json.loads(path.read_text()) for path in paths}


def with_settings(composed: Composed, **settings: Any) -> Composed:
    return replace(composed, settings={**composed.settings, **settings})


def test_each_trains_with_the_words_of_train_and_its_own_seed(
    composed: Composed, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[Composed] = []
    monkeypatch.setattr(ensemble, "launch", lambda given: joined.append(given) or 7)
    assert ensemble._start(composed) == 7
    found = called(composed)
    assert sorted(found) == [4, 5, 6]
    for seed, call in found.items():
        assert call["words"] == ["-m", "pipeline.train", "model=lenet5", f"seed={seed}"]
        assert call["OMP_NUM_THREADS"] is None and call["CUDA_VISIBLE_DEVICES"] is None
    assert found[4]["began"] < found[5]["began"] < found[6]["began"]
    assert len({call["PIPELINE_STARTED_AS"] for call in found.values()}) == 3
    assert joined[0].settings["runs"] == ["4" * 32, "5" * 32, "6" * 32]
    assert joined[0].settings["members"] is None and joined[0].settings["fusion"] == "majority"


def test_side_by_side_each_has_a_gpu_and_its_share_of_the_threads(
    composed: Composed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 7")
    ended = members.train_members(composed, words=["model=lenet5", "sleep=0.5"])
    found = called(composed)
    assert [member.code for member in ended] == [0, 0, 0]
    assert {found[4]["CUDA_VISIBLE_DEVICES"], found[5]["CUDA_VISIBLE_DEVICES"]} == {"3", "7"}
    assert found[6]["CUDA_VISIBLE_DEVICES"] in ("3", "7")
    assert {call["OMP_NUM_THREADS"] for call in found.values()} == {"3"}
    assert abs(found[5]["began"] - found[4]["began"]) < 0.5 <= found[6]["began"] - found[4]["began"]
    assert "trained with seed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("devices", "jobs", "expected"),
    [
        (1, None, ["0", "1", "2", "3", "4"]),
        ("auto", 2, ["0", "1"]),
        (2, None, ["0,1", "2,3"]),
        (2, 3, ["0,1", "2,3", "0,1"]),
        ("2", 2, ["0,1", "2,3"]),
        (8, 2, ["", ""]),
        (-1, 2, ["", ""]),
        ([0, 3], None, [""]),
    ],
)
def test_a_member_sees_all_the_gpus_it_trains_on(
    devices: Any, jobs: int | None, expected: list[str], composed: Composed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4")
    trainer = {**composed.config["trainer"], "accelerator": "auto", "devices": devices}
    whole = replace(composed, config={**composed.config, "trainer": trainer})
    assert places.places(trainer=whole.config["trainer"], jobs=jobs) == expected


def test_on_a_cpu_jobs_says_how_many(composed: Composed) -> None:
    members.train_members(with_settings(composed, jobs=2), words=["sleep=0.3"])
    found = called(composed)
    assert {call["CUDA_VISIBLE_DEVICES"] for call in found.values()} == {None}
    assert {call["OMP_NUM_THREADS"] for call in found.values()} == {"3"}


def test_one_that_fails_does_not_stop_the_others(
    composed: Composed, capsys: pytest.CaptureFixture[str]
) -> None:
    told(composed, seed_5=1)
    assert ensemble._start(composed) == 1
    assert sorted(called(composed)) == [4, 5, 6]
    said = capsys.readouterr()
    assert "member 2 of 3 (seed=5) failed with exit code 1 (run 55555555)" in said.err
    assert "$ make ensemble runs=[44444444,66666666]" in said.err


def test_trained_members_are_not_lost_where_they_are_not_joined(
    composed: Composed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ensemble, "launch", lambda _: 1)
    assert ensemble._start(composed) == 1
    assert "$ make ensemble runs=[44444444,55555555,66666666]" in capsys.readouterr().err


@pytest.mark.parametrize(("stopped", "joins"), [({"seed_5": 138}, 0), ({}, 138)])
def test_the_ensemble_puts_its_job_back_once(
    stopped: dict[str, int], joins: int, composed: Composed, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(composed, **stopped)
    calls: list[int] = []
    monkeypatch.setattr(ensemble, "launch", lambda _: joins)
    monkeypatch.setattr(requeue, "put_back", lambda: calls.append(1))
    assert ensemble._start(composed) == 138
    assert calls == [1]


@pytest.mark.parametrize("starter", ["torchrun", "srun"])
def test_several_processes_train_nobody(
    starter: str, composed: Composed, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchrun = {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    srun = {"STEP_ID": "0", "PROCID": "0", "STEP_NUM_TASKS": "2", "STEP_NUM_NODES": "1"}
    words = {f"SLURM_{key}": value for key, value in srun.items()} if starter == "srun" else torchrun
    for key, value in words.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(Mistake, match=f"ensemble is one command, not several: start it without {starter}"):
        ensemble._start(composed)
    assert called(composed) == {}


def test_a_mistake_of_all_stops_at_once(composed: Composed, capsys: pytest.CaptureFixture[str]) -> None:
    told(composed, seed_4=2)
    assert ensemble._start(composed) == 2
    assert sorted(called(composed)) == [4]
    assert capsys.readouterr().err == ""  # the member has said what is wrong


def test_a_failure_is_shown_where_several_train(
    composed: Composed, capsys: pytest.CaptureFixture[str]
) -> None:
    told(composed, seed_5=1)
    members.train_members(with_settings(composed, jobs=3), words=[])
    assert "trained with seed 5" in capsys.readouterr().out


def test_a_signal_reaches_the_one_that_trains_and_starts_no_other(
    composed: Composed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensemble, "launch", lambda _: pytest.fail("nothing is joined"))
    monkeypatch.setattr(ensemble, "_training_words", lambda _: ["sleep=30"])
    before = signal.getsignal(signal.SIGTERM)

    def stop() -> None:
        while not list(composed.root.glob("outputs/*/*/*/run.json")):
            threading.Event().wait(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    assert ensemble._start(composed) == 128 + signal.SIGTERM
    assert sorted(called(composed)) == [4]
    said = capsys.readouterr().err
    assert "member 1 of 3 (seed=4) was interrupted" in said
    assert "make train resume=44444444 goes on with it" in said
    assert "2 of 3 members were not started" in said
    assert signal.getsignal(signal.SIGTERM) is before


def test_gpus_are_counted_without_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: one'\necho '  MIG: a part'\necho 'GPU 1: two'\n")
    tool.chmod(0o755)
    monkeypatch.setattr(places.shutil, "which", lambda _: str(tool))
    assert places.visible_gpus() == ["0", "1"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert places.visible_gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1a,-1")
    assert places.visible_gpus() == ["GPU-1a"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert places.visible_gpus() == []
