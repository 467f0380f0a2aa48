"""What the first process of a distributed run decides, and how the others learn it.

Those that Lightning starts inherit the environment of the first one, after it has decided. Those that
torchrun or srun starts are there from the beginning; they meet at the store that torch lets them meet at.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import ranks
from pipeline.compose import Composed
from pipeline.errors import EXIT_FAILURE, LeaderEnded

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

RUN = "run"
"""What is told when a run is open: its folder and its id."""

_TOLD = "PIPELINE_TOLD_"
_END = "end"
_HEARD = "heard"
_PATIENCE = timedelta(minutes=30)
_INTERVAL = 0.1
_SECONDS_TO_HEAR = 10.0
_SECONDS_TO_DIFFER = 20.0


def leads() -> bool:
    """Whether this process decides, writes and speaks for the run."""
    rank = ranks.current()
    return rank.leads if rank else os.environ.get("LOCAL_RANK", "0") == "0"


def tell(name: str, value: dict[str, Any]) -> None:
    """Let the other processes know what the first one has decided.

    Args:
        name: One word.
        value: Plain values.
    """
    text, store = json.dumps(value, default=str), _store()
    if store is None:
        os.environ[_TOLD + name.upper()] = text
    else:
        store.set(name, text)


def learn(name: str) -> dict[str, Any]:
    """Wait for what the first process decides.

    Args:
        name: As it tells it.

    Raises:
        LeaderEnded: It ended without a decision.
    """
    store = _store()
    text = os.environ[_TOLD + name.upper()] if store is None else _wait(store, name)
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


def _wait(store: "Store", name: str) -> str:
    deadline = time.monotonic() + _PATIENCE.total_seconds()
    try:
        while not store.check([name]):
            if store.check([_END]):
                _hear(store)
            if time.monotonic() > deadline:
                raise TimeoutError(f"the first process has not come to '{name}' in {_PATIENCE}")
            time.sleep(_INTERVAL)
        return store.get(name).decode()
    except RuntimeError as error:  # torch's, where the first process and its store are gone
        raise LeaderEnded(EXIT_FAILURE) from error


def _hear(store: "Store") -> None:
    code = int(store.get(_END).decode())
    store.add(_HEARD, 1)
    raise LeaderEnded(code)


def agreed(composed: Composed) -> Composed:
    """The first process' configuration, for all: each has composed one, and files may have changed meanwhile.

    Args:
        composed: This process' own.
    """
    if leads():
        tell("composed", asdict(composed))
        return composed
    fields = learn("composed")
    return Composed(**{**fields, "root": Path(fields["root"])})


@contextmanager
def first_alone(name: str) -> Iterator[None]:
    """Let the first process do something before the others do the same: of a download one is enough.

    Those that Lightning starts come later anyway.

    Args:
        name: One word for it.
    """
    is_shared = _store() is not None
    if is_shared and not leads():
        learn(name)
    yield
    if is_shared and leads():
        tell(name, {})


def end(code: int) -> None:
    """Say that the first process ends early, and wait a little until the others have heard it.

    Args:
        code: Its exit code.
    """
    rank, store = ranks.current(), _store()
    if rank is None or store is None or not rank.leads:
        return
    store.set(_END, str(code))
    deadline = time.monotonic() + (0 if store.check([RUN]) else _SECONDS_TO_HEAR)
    while store.add(_HEARD, 0) < rank.world - 1 and time.monotonic() < deadline:
        time.sleep(_INTERVAL)


def leader_fails_too() -> int | None:
    """Whether the first process ends with a mistake at the same place; it says which, once for all.

    Returns:
        Its exit code; None where it goes on, or where this is the first process.
    """
    store = None if leads() else _store()
    deadline = time.monotonic() + _SECONDS_TO_DIFFER
    try:
        while store is not None and time.monotonic() < deadline and not store.check([RUN]):
            if store.check([_END]):
                _hear(store)
            time.sleep(_INTERVAL)
    except LeaderEnded as ended:
        return ended.code
    except RuntimeError:
        return EXIT_FAILURE
    return None


@cache
def _store() -> "Store | None":
    """Where processes from outside meet; it lives as long as this process. None where there are no others."""
    rank = ranks.current()
    if rank is None or rank.world == 1:
        return None
    from torch._C._distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    _find_address(rank)
    # The same that torch's process group will ask for: the first process serves both.
    store, _, _ = next(rendezvous("env://", rank=rank.number, world_size=rank.world, timeout=_PATIENCE))
    return PrefixStore("pipeline", store)


def _find_address(rank: ranks.Rank) -> None:
    """Let Lightning read SLURM's variables; it leaves what it has found in the environment."""
    if rank.starter == "srun":
        from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

        slurm = SLURMEnvironment(auto_requeue=False)
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = slurm.main_address, str(slurm.main_port)


def leave_together() -> None:
    """Without this, ranks that are still exchanging something abort when the first of them ends."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
