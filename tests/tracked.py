"""Runs to be told to MLflow, and a server of MLflow's that misbehaves when it is asked to."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from pipeline.tracking import MlflowTracker
from pipeline.tracking_store import tracking_uri


def start(root: Path, *, uri: str = "", run_id: str | None = None, **options: Any) -> MlflowTracker:
    """A tracker that sends twenty times a second."""
    return MlflowTracker(
        experiment="classification",
        run_name="lenet5",
        uri=uri or tracking_uri(root),
        artifact_location=str(root / "mlartifacts"),
        tags={"host": "here"},
        run_id=run_id,
        **{"interval": 0.05, "system_interval": None, **options},
    )


def attached(root: Path, tracker: MlflowTracker) -> Path:
    """Give a tracker its run's folder."""
    folder = root / "outputs" / "classification" / "lenet5" / f"now_{tracker.run_id[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    tracker.attach(folder)
    return folder


def points(client: MlflowClient, run_id: str, name: str) -> list[tuple[int, float]]:
    """Step and value of every point of a metric, as the server has them."""
    return sorted((point.step, point.value) for point in client.get_metric_history(run_id, name))


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Messages of the level that people see."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class Server:
    """MLflow's own server on a port of this machine, to be stopped and started in milliseconds.

    Attributes:
        status: Answered instead of anything else, where it is set.
        delay: Seconds before each answer.
        forgets: Name of a request that is done, but answered by an error as if a proxy had lost patience.
        asked: Names of all requests.
    """

    def __init__(self) -> None:
        self.status: str = ""
        self.delay = 0.0
        self.forgets = ""
        self.asked: list[str] = []
        self._server: Any = None
        self.port = 0
        self.start()
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen."""
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", self.port, self._answer, threaded=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Be gone."""
        self._server.shutdown()
        self._server.server_close()

    def behave(self) -> None:
        """Do what a server should, from now on."""
        self.status, self.delay, self.forgets = "", 0.0, ""

    def _answer(self, environ: dict[str, Any], respond: Callable[..., Any]) -> Iterable[bytes]:
        from mlflow.server import app

        name = environ["PATH_INFO"].rpartition("/mlflow/")[2]
        self.asked.append(name)
        time.sleep(self.delay)
        if self.status:
            respond(self.status, [])
            return [b"no"]
        if name == self.forgets:
            for _ in app(environ, lambda *_: None):
                pass
            respond("504 Gateway Timeout", [])
            return [b"too late"]
        answer: Iterable[bytes] = app(environ, respond)
        return answer
