"""Fetches a run that was trained on another machine from the MLflow server that both know."""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import record
from pipeline.errors import Mistake
from pipeline.runs import WHOLE_ID, Run, find_run, outputs
from pipeline.tracking_store import SQLITE, prepare_library, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run as ServerRun
    from mlflow.tracking import MlflowClient

# Tags come from a server and become names of folders.
_FOLDER_NAME = re.compile(r"\w[\w.-]*")
_NEEDED = ("config.yaml", "checkpoints")
_WELCOME = "metrics.json"


def find_or_fetch(*, root: Path, name: str, task: str | None, key: str = "run") -> Run:
    """The run that a person means, from this machine or else from the MLflow server.

    Args:
        root: The project's root folder.
        name: As for `find_run`; only a whole run id is looked for on the server.
        task: As for `find_run`.
        key: As for `find_run`.

    Raises:
        Mistake: The run is neither here nor there.
    """
    try:
        return find_run(root=root, name=name, task=task, trained=True, key=key)
    except Mistake:
        if not WHOLE_ID.fullmatch(name):
            raise
        if not _fetch(root=root, run_id=name):
            raise
    return find_run(root=root, name=name, task=task, trained=True, key=key)


def _fetch(*, root: Path, run_id: str) -> bool:
    """Whether the server has the run; its files then lie where they would if it had been trained here."""
    uri = tracking_uri(root)
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
        return False
    prepare_library()
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    try:
        run = client.get_run(run_id)
        names = [run.data.tags.get(key, "") for key in ("task", "model")]
        if not all(_FOLDER_NAME.fullmatch(name) for name in names):
            return False
        with tempfile.TemporaryDirectory() as draft:
            _download(client, run, folder=Path(draft))
            folder = record.new_folder(outputs=outputs(root), task=names[0], model=names[1], run_id=run_id)
            shutil.copytree(draft, folder, dirs_exist_ok=True)
    except (MlflowException, OSError):
        return False
    return True


def _download(client: "MlflowClient", run: "ServerRun", *, folder: Path) -> None:
    there = [file.path for file in client.list_artifacts(run.info.run_id)]
    for name in (*_NEEDED, *([_WELCOME] if _WELCOME in there else [])):
        client.download_artifacts(run.info.run_id, name, str(folder))
    kept = sorted((folder / "checkpoints").glob("*.ckpt"))
    facts = {"checkpoint": str(kept[0].relative_to(folder))} if kept else {}
    started = {"started": run.info.start_time / 1000, "run_id": run.info.run_id, "status": run.info.status}
    (folder / "run.json").write_text(json.dumps({**started, "overrides": [], **facts}), encoding="utf-8")
