"""A comparison in MLflow: with the sweep whose trials it compares, else as a small run of its own.

Of its own, because a run that has finished stays as it was; and in an experiment of its own, because among
the runs of a task it would be a row without measures on the page where people compare them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipeline.comparing.choosing import Chosen
from pipeline.comparing.folders import COMPARISONS
from pipeline.comparing.listed import Listed
from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.panels import shown_address
from pipeline.tracking_file import PENDING_FILE, Entry, PendingFile
from pipeline.tracking_identity import Identity, load_identity, public_address
from pipeline.tracking_lock import claim, release
from pipeline.tracking_pending import Waiting, send_waiting
from pipeline.tracking_store import artifact_location, tracking_uri

_MOST_IN_AN_ADDRESS = 20
_LOCAL = "http://127.0.0.1:5000"  # where make ui serves, unless told otherwise


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Where MLflow has a comparison.

    Attributes:
        where: In words; empty where it has not.
        page: Address of MLflow's own page of the same runs; empty where nobody knows it.
    """

    where: str
    page: str


def track(chosen: Chosen, *, root: Path, folder: Path, files: Sequence[Path], runs: Sequence[Listed]) -> Kept:
    """Hand the files of a comparison to MLflow.

    Nothing happens where none of the runs is known to it (`logger=none`).

    Args:
        chosen: What is compared.
        root: The project's root folder.
        folder: Of the comparison.
        files: In it.
        runs: Those that MLflow's page shows side by side, the best first.
    """
    if not any(load_identity(listed.run.folder) for listed in chosen.runs):
        return Kept(where="", page="")
    with console.status("telling MLflow"):
        where = _with_sweep(chosen, root=root, files=files)
        where = where or _alone(chosen, root=root, folder=folder, files=files)
        page = _page(root, runs=[load_identity(listed.run.folder) for listed in runs[:_MOST_IN_AN_ADDRESS]])
    return Kept(where=where, page=page)


def _with_sweep(chosen: Chosen, *, root: Path, files: Sequence[Path]) -> str:
    """Put the files beside what waits for the sweep's run, and send; empty where that cannot be done."""
    sweep = chosen.sweep
    identity = load_identity(sweep.folder) if sweep else None
    if sweep is None or identity is None or not claim(sweep.folder):
        return ""  # of a sweep that still runs, its own process writes there
    try:
        target = f"{COMPARISONS}/{files[0].parent.name}"
        entries = [Entry(kind="file", key=str(path), value=target) for path in files]
        PendingFile(sweep.folder / PENDING_FILE).append(entries)
    finally:
        release(sweep.folder)
    waiting = Waiting(folder=sweep.folder, identity=identity, entries=len(entries))
    delivery = send_waiting(waiting, uri=tracking_uri(root))
    waits = f", once it can be told ({delivery.why})" if delivery.left else ""
    return f"run {sweep.sweep_id[:8]} of the sweep, in {target}{waits}"


def _alone(chosen: Chosen, *, root: Path, folder: Path, files: Sequence[Path]) -> str:
    from pipeline.tracking_run import TrackedRun

    names = [listed.run.run_id for listed in chosen.runs]
    run = TrackedRun(
        experiment=COMPARISONS,
        run_name=f"comparison: {chosen.title}",
        uri=tracking_uri(root),
        artifact_location=artifact_location(root),
        tags={"task": chosen.task, "kind": "comparison", "compared": " ".join(names)[:5000]},
        run_id=None,
        system_interval=None,
    )
    run.attach(folder)
    for path in files:
        run.log_file(path)
    run.finish("FINISHED")
    return f"run {run.run_id[:8]} of experiment {COMPARISONS}, {shown_address(run.address)}"


def _page(root: Path, *, runs: Sequence[Identity | None]) -> str:
    """MLflow's page of runs side by side; empty where the server does not answer, or knows fewer than two."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    uri = tracking_uri(root)
    ids = [
        run.server_run_id for run in runs if run and run.server == public_address(uri) and run.server_run_id
    ]
    if len(ids) < 2:
        return ""
    try:
        experiment = str(MlflowClient(uri).get_run(ids[0]).info.experiment_id)
    except (MlflowException, OSError, Mistake):
        return ""
    server = public_address(uri).rstrip("/") if uri.startswith("http") else _LOCAL
    words = f"runs={json.dumps(ids, separators=(',', ':'))}&experiments={json.dumps([experiment])}"
    return f"{server}/#/compare-runs?{quote(words, safe='=&,')}"
