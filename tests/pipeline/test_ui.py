"""`make ui`: one server, one address, and clear words where it cannot be."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pipeline import ui


def test_a_taken_port_is_said_with_the_next_free_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert ui.serve(root=tmp_path, host="127.0.0.1", port=port) == 2
    said = capsys.readouterr().err
    found = re.fullmatch(rf"port={port} is taken on 127\.0\.0\.1; port=(\d+) is free\n", said)
    assert found is not None, said
    with socket.socket() as free:
        free.bind(("127.0.0.1", int(found[1])))
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_runs_elsewhere_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@tracking.example:5000")
    assert ui.serve(root=tmp_path, host="127.0.0.1", port=5000) == 0
    assert (
        capsys.readouterr().out == "MLFLOW_TRACKING_URI names a server: open http://tracking.example:5000\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_answers_and_ends_with_all_it_started(number: signal.Signals, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    # Where tests run in the background of a shell, Ctrl-C is ignored, and what they start would inherit that.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "import sys; from pathlib import Path; from pipeline.ui import serve; "
    code += f"sys.exit(serve(root=Path.cwd(), host='127.0.0.1', port={port}))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    address = process.stdout.readline()
    assert f"http://127.0.0.1:{port}" in address
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    assert b"<html" in direct.open(f"http://127.0.0.1:{port}/", timeout=10).read().lower()
    process.send_signal(number)
    assert process.wait(timeout=90) == 0
    time.sleep(0.2)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=2)
