"""What torchrun and srun have started is understood from their variables, without torch."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import meeting, ranks
from pipeline.compose import Composed, compose_plain, settings_of
from pipeline.errors import Mistake

SLURM_NODE = [{"_target_": ranks.SLURM_PLUGIN, "auto_requeue": False}]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "RANK",
        "TORCHELASTIC_RUN_ID",
        "SLURM_STEP_ID",
        "SLURM_PROCID",
        "SLURM_NTASKS",
        "LOCAL_RANK",
    ):
        monkeypatch.delenv(name, raising=False)
    meeting._store.cache_clear()


def torchrun(patch: pytest.MonkeyPatch, **changes: int) -> None:
    """Rank 3 of two machines with two processes each."""
    numbers = {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2, "GROUP_WORLD_SIZE": 2}
    for name, number in {**numbers, **changes}.items():
        patch.setenv(name, str(number))
    patch.setenv("TORCHELASTIC_RUN_ID", "none")


def srun(patch: pytest.MonkeyPatch, *, tasks: int = 4, per_node: str = "2(x2)") -> None:
    """Task 3 of a step on two machines."""
    values = {
        "SLURM_STEP_ID": 0,
        "SLURM_STEP_NUM_TASKS": tasks,
        "SLURM_STEP_NUM_NODES": 2 if tasks > 1 else 1,
    }
    values |= {"SLURM_PROCID": tasks - 1, "SLURM_LOCALID": 1, "SLURM_NTASKS": 8, "SLURM_JOB_ID": 12345}
    for name, value in values.items():
        patch.setenv(name, str(value))
    patch.setenv("SLURM_STEP_TASKS_PER_NODE", per_node)
    patch.setenv("SLURM_STEP_NODELIST", "node[3-4]")


def composed(*words: str, verb: str = "train") -> Composed:
    config = compose_plain(verb=verb, overrides=list(words))
    settings = settings_of(verb=verb, config=config)
    return Composed(
        verb=verb, config=config, settings=settings, overrides=list(words), root=Path(), show_traceback=False
    )


def fitted(*words: str, verb: str = "train") -> Composed:
    whole = composed(*words, verb=verb)
    rank = ranks.started_by(whole.config)
    assert rank is not None
    return ranks.fitted(whole, rank)


def test_torchrun_decides_how_many_devices_and_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    torchrun(monkeypatch)
    trainer = fitted("trainer.accelerator=cpu").config["trainer"]
    assert (trainer["devices"], trainer["num_nodes"], trainer["plugins"]) == (2, 2, None)
    assert ranks.follows_from_outside()


def test_srun_decides_likewise_and_lightning_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    srun(monkeypatch)
    for words in (["trainer=slurm"], ["trainer=ddp_cpu"]):
        trainer = fitted(*words).config["trainer"]
        assert (trainer["devices"], trainer["num_nodes"], trainer["plugins"]) == (2, 2, SLURM_NODE)
    assert ranks.follows_from_outside()


def test_a_single_task_may_start_its_own_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    srun(monkeypatch, tasks=1, per_node="1")
    assert ranks.started_by(composed("trainer=ddp_cpu").config) is None
    assert ranks.started_by(composed("trainer=slurm").config) is not None
    assert not ranks.follows_from_outside()
    # Else Lightning would wait for eight tasks of srun.
    assert not {"SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"} & ranks.worker_environment(None).keys()


def test_nothing_from_outside() -> None:
    assert ranks.started_by(composed().config) is None
    assert ranks.current() is None
    assert not ranks.follows_from_outside()


def test_the_worker_knows_its_rank_and_nothing_of_an_outer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torchrun(monkeypatch)
    monkeypatch.setenv("MASTER_ADDR", "node3")
    monkeypatch.setattr(ranks, "usable_cores", lambda: 9)
    rank = ranks.started_by({})
    inside = ranks.worker_environment(rank)
    assert inside["MASTER_ADDR"] == "node3" and inside["RANK"] == "3" and inside["OMP_NUM_THREADS"] == "4"
    monkeypatch.setenv("PIPELINE_RANK", inside["PIPELINE_RANK"])
    assert ranks.current() == rank
    outside = ranks.worker_environment(None)
    assert not {"MASTER_ADDR", "RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "PIPELINE_RANK"} & outside.keys()


def test_threads_that_a_person_or_slurm_gave_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    srun(monkeypatch)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "7")
    rank = ranks.started_by({})
    environment = ranks.worker_environment(rank)
    assert environment["OMP_NUM_THREADS"] == "7"
    # Of the step, not of the job.
    assert (environment["SLURM_NTASKS"], environment["SLURM_NTASKS_PER_NODE"]) == ("4", "2")
    assert environment["SLURM_NODELIST"] == "node[3-4]"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert ranks.worker_environment(rank)["OMP_NUM_THREADS"] == "3"


Change = dict[str, Any]


@pytest.mark.parametrize(
    ("words", "verb", "message"),
    [
        (["trainer.devices=3"], "train", "trainer.devices=3, but torchrun starts 2; leave it out"),
        (["trainer.num_nodes=1"], "train", "trainer.num_nodes=1, but torchrun starts 2; leave it out"),
        (["trainer=slurm"], "train", "trainer=slurm is for processes that srun starts"),
        (["batch_size_finder=true"], "train", "batch_size_finder=true looks in one process"),
        (["task=style_transfer"], "train", "there is one picture"),
        ([], "evaluate", "evaluate is one command, not several: start it without torchrun"),
    ],
)
def test_what_torchrun_cannot_do(
    words: list[str], verb: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchrun(monkeypatch)
    with pytest.raises(Mistake, match=message):
        fitted(*words, verb=verb)


def test_the_right_number_may_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    torchrun(monkeypatch)
    assert fitted("trainer.devices=2", "trainer.num_nodes=2").config["trainer"]["devices"] == 2


def test_machines_must_be_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    torchrun(monkeypatch, WORLD_SIZE=3)
    with pytest.raises(Mistake, match="--nproc-per-node"):
        ranks.started_by({})
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    srun(monkeypatch, tasks=4, per_node="3,1")
    with pytest.raises(Mistake, match="--ntasks-per-node"):
        ranks.started_by({})


def test_slurm_without_srun_and_machines_without_anything() -> None:
    with pytest.raises(Mistake, match="choose trainer=ddp"):
        ranks.started_by(composed("trainer=slurm").config)
    with pytest.raises(Mistake, match=r"trainer.num_nodes=2: torchrun or srun must start"):
        ranks.check_alone(composed("trainer.num_nodes=2"))


def test_those_that_lightning_starts_learn_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPELINE_TOLD_THING", raising=False)
    monkeypatch.delenv("PIPELINE_RANK", raising=False)
    assert meeting.leads()
    monkeypatch.setenv("PIPELINE_TOLD_THING", json.dumps({"folder": "here"}))
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not meeting.leads()
    assert meeting.learn("thing") == {"folder": "here"}
