"""Where MLflow keeps its runs: addresses, parameters, and one database for several processes."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.tracking import tracking_uri
from pipeline.tracking_identity import public_address
from pipeline.tracking_values import flatten
from tests.commands import eventually


@pytest.fixture(autouse=True)
def no_server_of_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_address_is_absolute_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri(tmp_path) == "http://127.0.0.1:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///here.db")
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/here.db"


@pytest.mark.parametrize("folder", ["./mlruns", "file:///tmp/mlruns"])
def test_a_folder_as_address_is_refused(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", folder)
    with pytest.raises(ValueError, match=r"MLFLOW_TRACKING_URI=.*mlruns is a folder.*set it to http"):
        tracking_uri(tmp_path)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://name:secret@host:5000/path", "http://host:5000/path"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
    ],
)
def test_address_is_shown_without_password(uri: str, shown: str) -> None:
    assert public_address(uri) == shown


def test_configuration_becomes_dotted_parameters() -> None:
    config = {"a": {"b": 1, "c": None, "d": {}}, "e": [1, {"f": True}], "g": "text", "h": 0.001}
    assert dict(flatten(config)) == {
        "a.b": "1",
        "a.c": "null",
        "a.d": "{}",
        "e": '[1, {"f": true}]',
        "g": "text",
        "h": "0.001",
    }


CREATE_TOGETHER = """
import sys, time
from pathlib import Path
import mlflow.tracking
from pipeline.tracking_store import prepare_store, tracking_uri
root = Path(sys.argv[1])
(root / f"ready_{sys.argv[2]}").touch()
while not (root / "go").exists():
    time.sleep(0.001)
prepare_store(tracking_uri(root))
client = mlflow.tracking.MlflowClient(tracking_uri(root))
client.create_run("0")
"""


@pytest.mark.slow
def test_three_processes_may_create_the_database_at_once(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", CREATE_TOGETHER, str(tmp_path), str(number)] for number in range(3)]
    repository = Path(__file__).parents[2]
    processes = [subprocess.Popen(command, cwd=repository, stderr=subprocess.PIPE) for command in commands]
    assert eventually(lambda: len(list(tmp_path.glob("ready_*"))) == 3)
    (tmp_path / "go").touch()
    errors = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT COUNT(*) FROM runs").fetchone() == (3,)
