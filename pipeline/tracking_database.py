"""A database server as the place where MLflow keeps its runs."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

POSTGRES = "postgresql"

_SECONDS_TO_CONNECT = 10
_SECONDS_TO_CREATE = 60.0
_LOCK = 7_263_541_902  # any number, as long as every process of ours asks for the same


def with_driver(uri: str) -> str:
    """`postgresql://` names no driver, and SQLAlchemy's own choice is not among our dependencies."""
    scheme = f"{POSTGRES}://"
    return f"{POSTGRES}+pg8000://{uri.removeprefix(scheme)}" if uri.startswith(scheme) else uri


def prepare_database(uri: str) -> None:
    """Create MLflow's tables in PostgreSQL once, whoever comes first; other addresses are left alone.

    Processes that do it at the same time fail, also on several machines, so it happens under a lock of the
    database's own. A server that is away raises at once here, while MLflow tries for 102 s.

    Args:
        uri: Address of the database.

    Raises:
        Exception: The database's driver says so in its own words where there is no connection.
    """
    if not uri.startswith(POSTGRES):
        return
    from sqlalchemy import create_engine

    timeout = "timeout" if "+pg8000" in uri else "connect_timeout"
    engine = create_engine(uri, connect_args={timeout: _SECONDS_TO_CONNECT})
    try:
        with engine.connect() as connection:
            _wait_for_lock(connection)
            _create_tables(uri)
    finally:
        engine.dispose()  # which lets go of the lock


def _wait_for_lock(connection: "Connection") -> None:
    from sqlalchemy import text

    end = time.monotonic() + _SECONDS_TO_CREATE
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        if time.monotonic() > end:
            raise TimeoutError("another process has been creating MLflow's tables for a minute")
        time.sleep(0.1)


def _create_tables(uri: str) -> None:
    from mlflow.tracking import MlflowClient

    MlflowClient(uri).search_experiments(max_results=1)
