"""`mlflow server` as a process of its own, as people run it, to be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.commands import eventually

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class MlflowProcess:
    """A server on a port of this machine that also stores the files of runs.

    Args:
        root: Where its output and the files of runs go.
        store: Address of its database.
    """

    def __init__(self, *, root: Path, store: str) -> None:
        self._root, self._store = root, store
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self.uri = f"http://127.0.0.1:{self._port}"
        self.output = root / "server.log"

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "MLFLOW_BACKEND_STORE_URI": self._store,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_ARTIFACTS_DESTINATION": str(self._root / "stored"),
        }
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--port", str(self._port)],
                env={**os.environ, **settings},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        assert eventually(self._answers, patience=120), self.output.read_text()

    def kill(self) -> None:
        """End it and its workers at once, without a chance to finish anything."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            _DIRECT.open(f"{self.uri}/health", timeout=2).close()
        except OSError:
            return False
        return True
