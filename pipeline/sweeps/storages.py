"""Where Optuna remembers a study: an SQLite file at the root, or whatever OPTUNA_STORAGE or a person says.

Imports Optuna only when a storage is opened.
"""

import fcntl
import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import Mistake
from pipeline.tracking_database import with_driver
from pipeline.tracking_identity import password_of, public_address, without_secrets

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

STORAGE = "OPTUNA_STORAGE"
"""In the environment: address of the storage; may hold a password, which is therefore never written down."""

_SQLITE, _JOURNAL = "sqlite:///", "journal://"
_SECONDS_TO_WAIT = 60


def address_of(storage: str | None, *, root: Path) -> str:
    """Address of a storage, with absolute paths.

    Args:
        storage: What a person said; None takes OPTUNA_STORAGE, or else ``optuna.db`` below `root`.
        root: The project's root folder.

    Raises:
        Mistake: A password that would be written down, or no address.
    """
    if storage and _holds_secret(storage):
        raise Mistake(
            f"hydra.sweeper.storage={shown(storage)}: what is typed is kept with the sweep, and a "
            f"password must not be; put the whole address into the environment variable {STORAGE}"
        )
    address = storage or os.environ.get(STORAGE, "").strip() or f"{_SQLITE}{root.resolve() / 'optuna.db'}"
    if "://" not in address:
        raise Mistake(
            f"hydra.sweeper.storage={address} is no address; it begins with sqlite:///, journal:///, "
            f"postgresql+pg8000://, mysql+pymysql://, redis:// or grpc://"
        )
    for scheme in (_SQLITE, _JOURNAL):
        if address.startswith(scheme):
            return f"{scheme}{(root / address.removeprefix(scheme)).resolve()}"
    return with_driver(address)


def shown(address: str) -> str:
    """An address without user name, password and parameters, fit to be printed and kept."""
    return public_address(address).partition("?")[0]


def environment_of(address: str) -> dict[str, str]:
    """What a job's processes are told; nothing of an address with a password, which they have inherited."""
    return {} if _holds_secret(address) else {STORAGE: address}


def _holds_secret(address: str) -> bool:
    return bool(password_of(address)) or "?" in address


def opened(address: str) -> "BaseStorage":
    """Open a storage; an SQLite file is made if there is none.

    Args:
        address: From `address_of`.

    Raises:
        Mistake: It does not answer, or needs a package that is not installed.
    """
    quieten()
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return _open(address)
    except ImportError as error:
        raise Mistake(
            f"{_named(address)} needs a package that is not installed ({_cause(error, address)}); {_WAY_OUT}"
        ) from None
    except (OptunaError, SQLAlchemyError, sqlite3.Error, OSError, ValueError, RuntimeError) as error:
        raise Mistake(f"{_named(address)} cannot be used: {_cause(error, address)}; {_WAY_OUT}") from None


_WAY_OUT = (
    "set hydra.sweeper.storage or the environment variable OPTUNA_STORAGE to one that can, "
    "or neither for an SQLite file"
)


def _named(address: str) -> str:
    return f"Optuna's storage {shown(address)}"


def _cause(error: BaseException, address: str) -> str:
    """The first line of what a driver says, which may repeat the address or the password in it."""
    cause = getattr(error, "orig", None) or error.__cause__ or error
    first = (str(cause) or type(cause).__name__).strip().splitlines()[0]
    return without_secrets(first, address)


def _open(address: str) -> "BaseStorage":
    from optuna import storages
    from optuna.storages import journal

    scheme, _, rest = address.partition("://")
    if scheme == "journal":
        Path(rest).parent.mkdir(parents=True, exist_ok=True)
        return storages.JournalStorage(journal.JournalFileBackend(rest))
    if scheme.startswith("redis"):
        return storages.JournalStorage(journal.JournalRedisBackend(address))
    if scheme == "grpc":
        return _grpc(rest)
    if scheme.startswith("sqlite"):
        return _sqlite(address)
    # Asked before each use: a server closes connections that were silent while a trial trained.
    return storages.RDBStorage(address, engine_kwargs={"pool_pre_ping": True})


def _grpc(rest: str) -> "BaseStorage":
    from optuna.storages import GrpcStorageProxy

    host, _, port = rest.rstrip("/").partition(":")
    if not port.isdecimal():
        raise ValueError("it is written grpc://host:port")
    proxy = GrpcStorageProxy(host=host, port=int(port))
    proxy.wait_server_ready(timeout=10)
    return proxy


def _sqlite(address: str) -> "BaseStorage":
    """One process makes the tables; WAL lets many machines' processes read while one writes."""
    from optuna import storages

    path = Path(address.removeprefix(_SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_name(f"{path.name}.lock")):
        with closing(sqlite3.connect(path, timeout=_SECONDS_TO_WAIT)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # stays with the file
        return storages.RDBStorage(address, engine_kwargs={"connect_args": {"timeout": _SECONDS_TO_WAIT}})


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released by closing, also when the process is killed
        yield


def quieten() -> None:
    """Optuna's lines for each trial, and its warnings of what is experimental, help nobody here."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module="optuna")
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    logging.getLogger("alembic").setLevel(logging.ERROR)
