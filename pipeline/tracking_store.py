"""Where MLflow keeps its runs: one SQLite file at the root, or whatever MLFLOW_TRACKING_URI says.

Imports nothing heavy, so that `make ui` can answer before MLflow is loaded.
"""

import fcntl
import importlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.errors import Mistake
from pipeline.tracking_database import prepare_database, with_driver

SQLITE = "sqlite:///"


def tracking_uri(root: Path) -> str:
    """Address of the tracking server or database.

    Args:
        root: Folder that holds `mlflow.db` where MLFLOW_TRACKING_URI is not set.

    Returns:
        MLFLOW_TRACKING_URI, or an absolute `sqlite:///` address.

    Raises:
        ValueError: If MLFLOW_TRACKING_URI is a folder; MLflow 3 no longer writes there.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if not given:
        return f"{SQLITE}{root.resolve() / 'mlflow.db'}"
    if "://" not in given or given.startswith("file:"):
        raise Mistake(
            f"MLFLOW_TRACKING_URI={given} is a folder, which MLflow 3 no longer writes to; "
            f"set it to http://host:port or {SQLITE}/absolute/path/mlflow.db, or unset it"
        )
    return _absolute(with_driver(given), root)


def artifact_location(root: Path) -> str | None:
    """Folder for the files of runs; None where a server decides."""
    if tracking_uri(root).startswith(("http://", "https://", "databricks")):
        return None
    return str(root.resolve() / "mlartifacts")


def runs_page(server: str, experiment_id: str, run_id: str = "") -> str:
    """Page of an experiment or a run; without its last part MLflow shows its views of language models."""
    run = f"/{run_id}" if run_id else ""
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs{run}?workflowType=machine_learning"


def prepare_store(uri: str) -> None:
    """Create the database of `uri` once, whoever comes first; servers are left alone.

    A new SQLite file takes MLflow seconds, and processes that do it at the same time fail, so it
    happens under a file lock; PostgreSQL has its own. WAL makes a commit three times cheaper and
    lets the server of `make ui` read while a run writes; the setting stays with the file.
    """
    if not uri.startswith(SQLITE):
        prepare_library()
        prepare_database(uri)
        return
    database = Path(uri.removeprefix(SQLITE))
    database.parent.mkdir(parents=True, exist_ok=True)
    with _locked(database.with_name(f"{database.name}.lock")):
        if not _is_ready(database):
            _create(uri, database)


def prepare_library() -> None:
    """Short waits, no telemetry and no chatter; call before MLflow is used."""
    # A server that does not answer costs seconds instead of MLflow's default of minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # the last panel has the page
    # One warning of ours stands for urllib3's line per attempt and for MLflow's news of a new database.
    for name in ("urllib3.connectionpool", "mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Whole, and in the thread that asks first: two threads that import it at once fail.
    importlib.import_module("mlflow.tracking")


def _absolute(uri: str, root: Path) -> str:
    """A relative SQLite path would change its meaning with the working directory."""
    if not uri.startswith(SQLITE):
        return uri
    return f"{SQLITE}{(root / uri.removeprefix(SQLITE)).resolve()}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released by closing, also when the process is killed
        yield


def _is_ready(database: Path) -> bool:
    if not database.exists():
        return False
    with closing(sqlite3.connect(database)) as connection:
        return bool(connection.execute("PRAGMA user_version").fetchone() == (_READY,))


def _create(uri: str, database: Path) -> None:
    prepare_library()
    from mlflow.tracking import MlflowClient

    MlflowClient(uri).search_experiments(max_results=1)
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA user_version={_READY}")


# Written into the file when it is complete. A killed creation leaves the mark out and is repeated,
# as is the check of MLflow's own schema when a database comes from elsewhere.
_READY = 3
