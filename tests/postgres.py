"""A PostgreSQL server of our own, where PostgreSQL is installed: with a password, gone with the test."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "not-to-be-shown"
_USER = "postgres"


def programs() -> Path | None:
    """Folder of initdb and pg_ctl; None where PostgreSQL is not installed."""
    found = [Path(path).parent for path in [shutil.which("pg_ctl") or ""] if path]
    found += sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return found[-1] if found else None


@contextmanager
def running() -> Iterator[str]:
    """A server with an empty database; skips the test where there can be none.

    Yields:
        `postgresql+pg8000://user:password@127.0.0.1:port/postgres`.
    """
    binaries = programs()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed on this machine")
    if os.getuid() == 0 and not _has_user():
        pytest.skip("PostgreSQL refuses to run as root, and there is no user named postgres")
    with tempfile.TemporaryDirectory(prefix="postgres", dir="/tmp") as folder:
        if os.getuid() == 0:
            shutil.chown(folder, _USER)
        data, port = Path(folder) / "data", free_port()
        secret = Path(folder) / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        initdb = [binaries / "initdb", "-U", _USER, "--pwfile", secret, "-A", "scram-sha-256", "-D", data]
        _as_other([*map(str, initdb), "--no-sync"], cwd=folder)
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off"
        control = [str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", f"{folder}/log"]
        _as_other([*control, "-o", options, "start"], cwd=folder)
        try:
            yield f"postgresql+pg8000://{_USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            _as_other([*control, "-m", "immediate", "stop"], cwd=folder)


def _as_other(command: Sequence[str], *, cwd: str) -> None:
    before = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups"] if os.getuid() == 0 else []
    subprocess.run([*before, *command], cwd=cwd, check=True, stdout=subprocess.DEVNULL, timeout=60)


def _has_user() -> bool:
    return any(entry.pw_name == _USER for entry in pwd.getpwall())


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
