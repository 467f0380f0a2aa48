"""The MLflow pages of all runs: `make ui`, or `python -m pipeline.ui port=5000 host=127.0.0.1`."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import FrameType
from typing import IO

from pipeline.compose import Composed, run_verb
from pipeline.console import console, error_console
from pipeline.errors import Mistake
from pipeline.tracking_identity import public_address, without_secrets
from pipeline.tracking_store import artifact_location, prepare_store, runs_page, tracking_uri

PATIENCE = 120.0
"""Seconds in which a server must answer; 6 s are usual."""

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # our own machine, never by a proxy

STOPPED = (KeyboardInterrupt, SystemExit)


def serve(*, root: Path, host: str, port: int) -> int:
    """Serve the runs of `root` until Ctrl-C or SIGTERM.

    Args:
        root: Folder of `mlflow.db`.
        host: Address to listen at; 0.0.0.0 lets other machines in.
        port: Port to listen at.

    Returns:
        Exit code: 0; 2 where the port is taken; 1 where the server failed.

    Raises:
        ValueError: If MLFLOW_TRACKING_URI cannot be served.
    """
    uri = tracking_uri(root)
    if uri.startswith(("http://", "https://")):
        console.print(f"MLFLOW_TRACKING_URI names a server: open {public_address(uri)}")
        return 0
    if not _is_free(host, port):
        error_console.print(f"port={port} is taken on {host}; port={_next_free(host, port)} is free")
        return 2
    with console.status("starting MLflow"):
        _prepare(uri)
    with tempfile.TemporaryFile("w+") as output:
        return _run(uri=uri, root=root, host=host, port=port, output=output)


def _prepare(uri: str) -> None:
    try:
        prepare_store(uri)
    except Exception as problem:
        reason = without_secrets(str(problem), uri).splitlines()[0]
        raise Mistake(f"no connection to MLflow's database at {public_address(uri)}: {reason}") from problem


def _run(*, uri: str, root: Path, host: str, port: int, output: IO[str]) -> int:
    command = _command(root=root, host=host, port=port)
    before = signal.signal(signal.SIGTERM, _raise_exit)
    # A session of its own: Ctrl-C reaches us alone, who then end the server and its worker together.
    server = subprocess.Popen(
        command, cwd=root, env=_environment(uri), stdout=output, stderr=output, start_new_session=True
    )
    try:
        if not _wait_until_answering(server, host=host, port=port):
            _explain(output, uri)
            return 1
        _announce(f"http://{_reachable(host)}:{port}")
        server.wait()
        _explain(output, uri)
        return 1
    except STOPPED:
        return 0
    finally:
        _end(server)
        signal.signal(signal.SIGTERM, before)


def _command(*, root: Path, host: str, port: int) -> list[str]:
    # One worker: MLflow's four take 2 GB for the same pages.
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    artifacts = artifact_location(root)
    if artifacts is not None:
        command += ["--default-artifact-root", artifacts]
    return [*command, "--host", host, "--port", str(port)]


def _environment(uri: str) -> dict[str, str]:
    """Of the server; the address goes here, since everybody can read a command line with its password."""
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    settings["MLFLOW_BACKEND_STORE_URI"] = uri
    return {**os.environ, **settings}


def _raise_exit(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _wait_until_answering(server: "subprocess.Popen[bytes]", *, host: str, port: int) -> bool:
    """False where the server ended, or took too long."""
    address = f"http://{_reachable(host)}:{port}/health"
    end = time.monotonic() + PATIENCE
    with console.status("starting MLflow"):
        while server.poll() is None and time.monotonic() < end:
            try:
                _DIRECT.open(address, timeout=2).close()
            except OSError:
                time.sleep(0.2)
            else:
                return True
    return False


def _announce(address: str) -> None:
    """The address, and a page for each experiment: MLflow's front page is about language models."""
    console.print(f"MLflow answers at [bold]{address}[/] (Ctrl-C ends it)", soft_wrap=True)
    with _DIRECT.open(f"{address}/api/2.0/mlflow/experiments/search?max_results=100", timeout=10) as answer:
        experiments = json.load(answer).get("experiments", [])
    for experiment in experiments:
        if experiment["name"] != "Default":  # MLflow's own, always empty
            page = runs_page(address, experiment["experiment_id"])
            console.print(f"  {experiment['name']}: {page}", soft_wrap=True, markup=False)


def _explain(output: IO[str], uri: str) -> None:
    """The end of what the server wrote, since it ended by itself."""
    output.seek(0)
    said = without_secrets("".join(output.readlines()[-15:]), uri)
    error_console.print("MLflow's server ended:", said, markup=False)


def _end(server: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(timeout=10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("", "0.0.0.0") else host


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _next_free(host: str, port: int) -> int:
    """The first free port above; 0, any free one, where none of the next hundred is."""
    return next((other for other in range(port + 1, port + 100) if _is_free(host, other)), 0)


def _start(composed: Composed) -> int:
    from pipeline.work.ui import run

    return run(composed=composed, **composed.settings)


def main() -> None:
    """Compose, validate, then serve until Ctrl-C."""
    sys.exit(run_verb(verb="ui", start=_start))


if __name__ == "__main__":
    main()
