"""`mlflow models serve` answers for every task, from what a run has told MLflow."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.served.answering import load
from pipeline.served.saving import pack
from pipeline.tracking_models import NAME
from pipeline.tracking_store import tracking_uri
from tests.commands import eventually
from tests.pipeline.networks import checkpoint_of, text_of, write_pictures
from tests.tracked import attached, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("no_server_of_the_person")]

PATIENCE = 300.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(model: str, *, root: Path, folder: Path) -> Iterator[str]:
    """MLflow's server of a model, from a folder that has nothing to do with the project; its address."""
    port, log = free_port(), folder / "server.log"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": tracking_uri(root),
    }
    command = ["mlflow", "models", "serve", "-m", model, "--env-manager", "local", "--port", str(port)]
    with log.open("w") as said:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, start_new_session=True, stdout=said, stderr=said
        )
    try:
        address = f"http://127.0.0.1:{port}"
        assert eventually(lambda: server.poll() is not None or answers(address), PATIENCE), log.read_text()
        assert server.poll() is None, log.read_text()
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def answers(address: str) -> bool:
    try:
        return bool(_DIRECT.open(f"{address}/ping", timeout=5).status == 200)
    except OSError:
        return False


def post(address: str, body: dict[str, Any]) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with _DIRECT.open(request, timeout=120) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("model", "column"),
    [
        ("lenet5", ""),
        ("mask_rcnn", ""),
        ("fcn8s", ""),
        ("triplet", "other"),
        ("fast_style", ""),
        ("adain", "style"),
    ],
)
def test_a_run_is_served(model: str, column: str, root: Path, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(model, tmp_path)
    tracker = start(root)
    folder = attached(root, tracker)
    assert pack(checkpoint, folder / NAME)
    tracker.log_model(folder / NAME)
    tracker.finish("FINISHED")

    texts = [text_of(path) for path in write_pictures(tmp_path / "pictures")]
    table = pd.DataFrame({"image": texts, **({column: texts[::-1]} if column else {})})
    # An untrained detector is sure of nothing, so that all it finds is asked for.
    params = {"min_score": 0.0} if model == "mask_rcnn" else {}
    expected = load(checkpoint, accelerator="cpu").predict(table, params).to_dict("records")
    with serving(f"runs:/{tracker.run_id}/{NAME}", root=root, folder=tmp_path) as address:
        body = {"dataframe_records": table.to_dict("records"), "params": params}
        code, told = post(address, body if params else {"dataframe_records": body["dataframe_records"]})
        assert code == 200 and told["predictions"] == expected
        code, told = post(address, {"dataframe_records": [{**table.to_dict("records")[0], "image": "%"}]})
        assert code == 400 and "row 0, column image: no base64 text" in told["message"]
