"""What tests of tracking share."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.tracking_store import prepare_store, tracking_uri

if TYPE_CHECKING:
    from tests.tracked import Server


@pytest.fixture
def no_server_of_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a database: to make one takes seconds, so the tests of a file share it."""
    folder = tmp_path_factory.mktemp("root")
    prepare_store(tracking_uri(folder))
    return folder


@pytest.fixture
def server(root: Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Server]":
    """MLflow's own server over `root`, which can be made to misbehave."""
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", tracking_uri(root))
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(root / "mlartifacts"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    # Here, because most tests of this folder need no Lightning.
    from tests.tracked import Server

    running = Server()
    yield running
    running.stop()
