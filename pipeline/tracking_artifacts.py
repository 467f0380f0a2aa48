"""Files and pictures of a run, as MLflow keeps them."""

import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking_file import Entry

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

IMAGES = "images"
"""Folder in which MLflow's pages look for pictures that have a step."""

IMAGES_TAG = "mlflow.loggedImages"
"""Tag without which they do not look."""

PREVIEW = 640
"""Longest side of the small copy that the pages show, in pixels; in MLflow's own 256 nothing can be read."""

SLOWEST = 1e6
"""Bytes in a second that a server stores at least; it answers only when it has the whole file."""

_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"

log = logging.getLogger(__name__)


def log_file(*, client: "MlflowClient", run_id: str, path: Path, into: str) -> None:
    """Send a file or a folder; one that has vanished is said to be gone.

    Args:
        client: MLflow's client.
        run_id: The run's id at the server.
        path: What to send.
        into: Folder among the run's artefacts; empty for their top.
    """
    if not path.exists():
        log.warning("%s was gone before MLflow could be given it", path.name)
        return
    client.log_artifact(run_id, str(path), into or None)


def log_image(*, client: "MlflowClient", run_id: str, path: Path, entry: Entry) -> None:
    """Send a picture so that MLflow's pages show it by its step, beside those of other runs.

    `MlflowClient.log_image` gives it a random name, and would store it twice where an answer was lost.

    Args:
        client: MLflow's client.
        run_id: The run's id at the server.
        path: A PNG file.
        entry: Its name in `value`, its step and its time.
    """
    if not path.exists():
        log.warning("%s was gone before MLflow could be given it", path.name)
        return
    name = image_name(entry)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder)
        shutil.copyfile(path, draft / f"{name}.png")
        _write_preview(path, draft / f"{name}+compressed.webp")
        client.log_artifacts(run_id, folder, IMAGES)
    client.set_tag(run_id, IMAGES_TAG, "True")


def image_name(entry: Entry) -> str:
    """What MLflow's pages read name, step and time from; the same each time it is asked for."""
    text = f"{str(entry.value).replace('/', '~')}+step+{entry.step}+timestamp+{entry.time}"
    return f"{text}+{uuid.uuid5(uuid.NAMESPACE_URL, text)}"


def _write_preview(path: Path, preview: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.thumbnail((PREVIEW, PREVIEW))
        image.convert("RGB").save(preview)


@contextmanager
def time_for(path: Path) -> Iterator[None]:
    """As many seconds for an answer as storing a file, or the largest of a folder, may take."""
    usual = os.environ.get(_TIMEOUT, "10")
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    largest = max((file.stat().st_size for file in files), default=0)
    os.environ[_TIMEOUT] = str(max(int(usual), round(largest / SLOWEST)))
    try:
        yield
    finally:
        os.environ[_TIMEOUT] = usual
