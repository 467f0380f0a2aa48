"""Which process of a distributed run this one is, where torchrun or SLURM's srun has started it."""

import json
import os
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pipeline.compose import Composed, problems_of
from pipeline.environment import usable_cores
from pipeline.errors import Mistake
from pipeline.validate import report

Starter = Literal["torchrun", "srun"]

SLURM_PLUGIN = "pytorch_lightning.plugins.environments.SLURMEnvironment"
"""What tells Lightning that srun has started the processes; `trainer=slurm` names it."""

# Left from an outer run (a sweep inside a distributed job, say) they would make a new one join the old.
_FOREIGN = ("LOCAL_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK")
_FOREIGN_PREFIXES = ("MASTER_", "TORCHELASTIC_", "PIPELINE_TOLD_")
# From these Lightning would conclude that srun has started as many processes as the job has tasks.
_OF_SLURM = ("SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID")
_NEVER = ("HYDRA_FULL_ERROR", "PL_GLOBAL_SEED", "PIPELINE_RANK")
_RANK = "PIPELINE_RANK"


@dataclass(frozen=True, kw_only=True)
class Rank:
    """One of several processes that something else than this project has started.

    Attributes:
        starter: What has started it.
        number: Its number among all, from 0.
        world: Processes in all.
        local_world: Processes on each machine.
        machines: Number of machines.
    """

    starter: Starter
    number: int
    world: int
    local_world: int
    machines: int

    @property
    def leads(self) -> bool:
        """Whether it decides and speaks for all."""
        return self.number == 0


def current() -> Rank | None:
    """Inside the worker: its rank; None where Lightning starts the processes, or there is only one."""
    known = os.environ.get(_RANK)
    return Rank(**json.loads(known)) if known else None


def started_by(config: dict[str, Any]) -> Rank | None:
    """The rank of a command that torchrun or srun has started; None where nothing has.

    A single task of srun may start its ranks itself, with `trainer.devices=N`, unless `trainer=slurm` says
    that srun does.

    Args:
        config: The resolved configuration.

    Raises:
        Mistake: The machines have different numbers of processes, or `trainer=slurm` is not started by srun.
    """
    wants_slurm = _names_slurm(config)
    if _is_of_torchrun():
        if wants_slurm:
            raise Mistake("trainer=slurm is for processes that srun starts, and torchrun did; leave it out")
        return _of_torchrun()
    if "SLURM_STEP_ID" not in os.environ or "SLURM_PROCID" not in os.environ:
        if wants_slurm:
            raise Mistake(
                "trainer=slurm: srun must start the processes (srun python -m pipeline.train ...); without "
                "it choose trainer=ddp, or trainer.plugins=null for a run that began there"
            )
        return None
    rank = _of_srun()
    return rank if rank.world > 1 or wants_slurm else None


def follows_from_outside() -> bool:
    """Whether torchrun or srun has started this command as another process than the first.

    What is wrong with the configuration is wrong for all of them, and the first one says so.
    """
    if _is_of_torchrun():
        return os.environ["RANK"] != "0"
    several = os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1"
    return "SLURM_STEP_ID" in os.environ and several and os.environ.get("SLURM_PROCID", "0") != "0"


def _is_of_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ and "RANK" in os.environ


def _names_slurm(config: dict[str, Any]) -> bool:
    return SLURM_PLUGIN in json.dumps((config.get("trainer") or {}).get("plugins"), default=str)


def _of_torchrun() -> Rank:
    world, local_world = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    machines = int(os.environ.get("GROUP_WORLD_SIZE", world // local_world))
    if world != local_world * machines:
        raise Mistake(_uneven("torchrun", "--nproc-per-node"))
    number = int(os.environ["RANK"])
    return Rank(starter="torchrun", number=number, world=world, local_world=local_world, machines=machines)


def _of_srun() -> Rank:
    world, machines = int(os.environ["SLURM_STEP_NUM_TASKS"]), int(os.environ["SLURM_STEP_NUM_NODES"])
    if world % machines or "," in os.environ.get("SLURM_STEP_TASKS_PER_NODE", ""):
        raise Mistake(_uneven("srun", "--ntasks-per-node"))
    number = int(os.environ["SLURM_PROCID"])
    return Rank(starter="srun", number=number, world=world, local_world=world // machines, machines=machines)


def _uneven(starter: str, option: str) -> str:
    return f"{starter} starts different numbers of processes on the machines; give all the same {option}"


def fitted(composed: Composed, rank: Rank) -> Composed:
    """The configuration with as many devices and machines as processes were started.

    Args:
        composed: The valid configuration.
        rank: Of this process.

    Raises:
        Mistake: Other numbers were typed, or this cannot be done by processes started from outside.
    """
    _refuse_what_is_single(composed, rank)
    trainer = {**composed.config["trainer"], "devices": rank.local_world, "num_nodes": rank.machines}
    if rank.starter == "srun" and not _names_slurm(composed.config):
        trainer["plugins"] = [{"_target_": SLURM_PLUGIN, "auto_requeue": False}]
    config = {**composed.config, "trainer": trainer}
    problems = problems_of(verb=composed.verb, config=config)
    if problems:
        raise Mistake(report(problems))
    return replace(composed, config=config)


def _refuse_what_is_single(composed: Composed, rank: Rank) -> None:
    if composed.verb != "train":
        raise Mistake(f"{composed.verb} is one command, not several: start it without {rank.starter}")
    if _is_sweep():
        raise _several_sweeps(rank)
    if composed.settings.get("batch_size_finder"):
        raise Mistake(
            f"batch_size_finder=true looks in one process; find it without {rank.starter}, and give it to "
            "all with data.batch_size=..."
        )
    started = {"trainer.devices": rank.local_world, "trainer.num_nodes": rank.machines}
    for key, count in started.items():
        typed = [word.partition("=")[2] for word in composed.overrides if word.startswith(f"{key}=")]
        if typed and typed[-1] not in (str(count), "auto"):
            raise Mistake(f"{key}={typed[-1]}, but {rank.starter} starts {count}; leave it out")


def _is_sweep() -> bool:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def check_alone(composed: Composed) -> None:
    """Refuse several machines that nothing has started: the first would wait for the others forever.

    Args:
        composed: The configuration of a command that neither torchrun nor srun has started.

    Raises:
        Mistake: `trainer.num_nodes` is above 1.
    """
    machines = (composed.config.get("trainer") or {}).get("num_nodes", 1)
    if machines != 1:
        raise Mistake(
            f"trainer.num_nodes={machines}: torchrun or srun must start the processes on several machines "
            "(docs/cluster.md); leave it out for one machine"
        )


def refuse_several(composed: Composed) -> None:
    """Refuse processes that torchrun or srun has started, for a command that begins with something long.

    Args:
        composed: The configuration of a command that is no make train.

    Raises:
        Mistake: One of them has started this command.
    """
    rank = started_by(composed.config)
    if rank is not None:
        _refuse_what_is_single(composed, rank)


def refuse_sweep() -> None:
    """Refuse a sweep that torchrun or srun has started several times: it would be as many sweeps.

    Raises:
        Mistake: One of them has.
    """
    rank = started_by({})
    if rank is not None:
        raise _several_sweeps(rank)


def _several_sweeps(rank: Rank) -> Mistake:
    return Mistake(f"--multirun inside {rank.starter}: start {rank.starter} once for each run instead")


def worker_environment(rank: Rank | None) -> dict[str, str]:
    """The environment of the worker: without the ranks of an outer run, or with its own rank.

    Args:
        rank: Of this process; None where torchrun and srun have no part in it.
    """
    kept = {key: value for key, value in os.environ.items() if key not in _NEVER}
    if rank is None:
        foreign = (*_FOREIGN, *_OF_SLURM)
        return {
            key: value
            for key, value in kept.items()
            if key not in foreign and not key.startswith(_FOREIGN_PREFIXES)
        }
    # Two processes with a thread for each core would fight for the cores: many times slower.
    threads = os.environ.get("SLURM_CPUS_PER_TASK") or max(1, usable_cores() // rank.local_world)
    own = {_RANK: json.dumps(asdict(rank)), **(_step_of_slurm(rank) if rank.starter == "srun" else {})}
    return {"OMP_NUM_THREADS": str(threads), **kept, **own}


def _step_of_slurm(rank: Rank) -> dict[str, str]:
    """Lightning reads what the job has been given; a step may be smaller."""
    nodes = os.environ.get("SLURM_STEP_NODELIST", os.environ.get("SLURM_NODELIST", "127.0.0.1"))
    return {
        "SLURM_NTASKS": str(rank.world),
        "SLURM_NTASKS_PER_NODE": str(rank.local_world),
        "SLURM_NNODES": str(rank.machines),
        "SLURM_NODELIST": nodes,
    }
