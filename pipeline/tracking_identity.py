"""What a later process must know to speak for a run: `tracking.json` in the run's folder."""

import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

IDENTITY_FILE = "tracking.json"

_SECRET = "password|token|secret"

# Up to the last @ before a slash, as in the web; or as SQLAlchemy does, where a password may hold a slash.
_USER = re.compile(r"://(?P<user>[^/]*|[^:/@]*:[^@]*)@")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A run and the server that knows it.

    Attributes:
        run_id: The id that people use; part of the folder's name.
        server: Address without user name and password.
        server_run_id: The id at that server; empty where it does not know the run yet.
        experiment: Name of the MLflow experiment.
        run_name: Name in MLflow's list.
        artifact_location: Folder for files, None where the server decides.
        tags: Facts of the machine and the code.
        started: Milliseconds since 1970.
        mark: What the run is found by at a server that made it but could not say so in time; the run's id
            where that is one of our own.
        resumes: When it was gone on with, in milliseconds since 1970.
    """

    run_id: str
    server: str
    server_run_id: str
    experiment: str
    run_name: str
    artifact_location: str | None
    tags: dict[str, str] = field(default_factory=dict)
    started: int
    mark: str = ""
    resumes: tuple[int, ...] = ()

    def save(self, folder: Path) -> None:
        """Write to `folder`, whole or not at all."""
        partial = folder / f"{IDENTITY_FILE}.partial"
        partial.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        os.replace(partial, folder / IDENTITY_FILE)


def load_identity(folder: Path) -> Identity | None:
    """The identity in `folder`; None where there is none, or a broken one."""
    try:
        fields = json.loads((folder / IDENTITY_FILE).read_text(encoding="utf-8"))
        return Identity(**{**fields, "resumes": tuple(fields.get("resumes", ()))})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def public_address(uri: str) -> str:
    """The address without user name and password, fit to be printed and kept."""
    return re.sub(rf"([?&][^=&]*(?:{_SECRET})[^=&]*)=[^&]*", r"\1=...", _without_user(uri))


def password_of(uri: str) -> str:
    """The password before the host, as it is written there; empty where there is none."""
    found = _USER.search(uri)
    return found["user"].partition(":")[2] if found else ""


def _without_user(uri: str) -> str:
    return _USER.sub("://", uri, count=1)


def without_secrets(text: str, uri: str) -> str:
    """A message without what only `uri` should hold, however a library has put it.

    Args:
        text: May hold the address, or its password alone.
        uri: The whole address.
    """
    text = text.replace(uri, public_address(uri))
    query, password = _without_user(uri).partition("?")[2], password_of(uri)
    secrets = [value for key, value in parse_qsl(query) if re.search(_SECRET, key)]
    for secret in filter(None, [password, unquote(password), *secrets]):
        text = text.replace(secret, "...")
    return text
