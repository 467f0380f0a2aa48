"""Queue entries to MLflow calls, leaving out what the server has already."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking_queue import Entry

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the server knew of a run when it was opened.

    Attributes:
        steps: Last step of each metric.
        params: Parameters, which MLflow never lets change.
        tags: Tags.
    """

    steps: dict[str, int]
    params: dict[str, str]
    tags: dict[str, str]


def known_of(run: "Run") -> Known:
    """What a run holds."""
    # The public `run.data.metrics` has no steps, and asking for each metric's history costs a request each.
    steps = {metric.key: int(metric.step) for metric in run.data._metric_objs}
    return Known(steps=steps, params=dict(run.data.params), tags=dict(run.data.tags))


def deliver(
    *, client: "MlflowClient", run_id: str, entries: Sequence[Entry], known: Known, folder: Path | None
) -> None:
    """Send entries of one run.

    Args:
        client: MLflow's client.
        run_id: The run's id at the server.
        entries: What to send.
        known: What the server had when the run was opened.
        folder: The run's folder, to which file names are relative.
    """
    _log_facts(client=client, run_id=run_id, entries=entries, known=known)
    for entry in entries:
        if entry.kind == "input":
            _log_input(client=client, run_id=run_id, entry=entry)
        elif entry.kind == "text":
            client.log_text(run_id, str(entry.value), entry.key)
        elif entry.kind == "file":
            _log_file(client=client, run_id=run_id, entry=entry, folder=folder)
        elif entry.kind == "status":
            _set_status(client=client, run_id=run_id, status=str(entry.value))


def _log_facts(*, client: "MlflowClient", run_id: str, entries: Sequence[Entry], known: Known) -> None:
    from mlflow.entities import Metric, Param, RunTag

    metrics = [
        Metric(entry.key, float(entry.value), entry.time, entry.step)
        for entry in entries
        if entry.kind == "metric" and entry.step > known.steps.get(entry.key, -1)
    ]
    # The last value of a name counts: a resumed run says its parameters twice.
    params = {entry.key: str(entry.value) for entry in entries if entry.kind == "param"}
    tags = {entry.key: str(entry.value) for entry in entries if entry.kind == "tag"}
    changed = _changes(params, known.params) | _changes(tags, known.tags)
    new_params = [Param(key, value) for key, value in params.items() if key not in known.params]
    new_tags = [RunTag(key, value) for key, value in tags.items() if key not in known.tags]
    client.log_batch(run_id, metrics, new_params, new_tags + [RunTag(*item) for item in changed.items()])
    known.params.update({param.key: param.value for param in new_params})


def _changes(values: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    """Tags for what a resumed run does differently; the first value stays."""
    return {f"changed.{key}": value for key, value in values.items() if before.get(key, value) != value}


def _log_input(*, client: "MlflowClient", run_id: str, entry: Entry) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    summary = json.loads(str(entry.value))
    dataset = Dataset(
        name=entry.key[:500],
        digest=str(summary.get("digest") or "unknown")[:36],  # MLflow's longest
        source_type="local",
        source=json.dumps({"name": entry.key}),
        profile=json.dumps(summary),
    )
    context = InputTag("mlflow.data.context", ", ".join(summary.get("sizes", {})) or "data")
    client.log_inputs(run_id, [DatasetInput(dataset, [context])])


def _log_file(*, client: "MlflowClient", run_id: str, entry: Entry, folder: Path | None) -> None:
    path = (folder or Path()) / entry.key
    if path.exists():
        client.log_artifact(run_id, str(path), str(entry.value) or None)
    else:
        log.warning("%s was gone before MLflow could be given it", path.name)


def _set_status(*, client: "MlflowClient", run_id: str, status: str) -> None:
    if status == "RUNNING":
        client.update_run(run_id, status=status)
    else:
        client.set_terminated(run_id, status=status)
