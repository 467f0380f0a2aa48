"""Queue entries to MLflow calls, leaving out what the server has already."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking_artifacts import log_file, log_image, time_for
from pipeline.tracking_file import FACTS, Entry
from pipeline.tracking_identity import Identity
from pipeline.tracking_models import send_model

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the server knows of a run.

    Attributes:
        points: Last step of each metric, and when it was logged in milliseconds since 1970.
        params: Parameters, which MLflow never lets change.
        tags: Tags.
    """

    points: dict[str, tuple[int, int]]
    params: dict[str, str]
    tags: dict[str, str]


def known_of(run: "Run") -> Known:
    """What a run holds."""
    # The public `run.data.metrics` has no steps, and asking for each metric's history costs a request each.
    points = {metric.key: (int(metric.step), int(metric.timestamp)) for metric in run.data._metric_objs}
    return Known(points=points, params=dict(run.data.params), tags=dict(run.data.tags))


def deliver(
    *,
    client: "MlflowClient",
    entries: Sequence[Entry],
    known: Known,
    identity: Identity,
    folder: Path | None,
) -> None:
    """Send entries of one run.

    Args:
        client: MLflow's client.
        entries: Some facts, or one of anything else.
        known: What the server has; facts that were sent are added.
        identity: The run.
        folder: The run's folder, to which file names are relative.
    """
    if entries[0].kind in FACTS:
        _log_facts(client=client, entries=entries, known=known, identity=identity)
    elif entries[0].kind in ("file", "image", "model"):
        path = (folder or Path()) / entries[0].key
        with time_for(path):
            _log_path(client=client, run_id=identity.server_run_id, entry=entries[0], path=path)
    else:
        _log_text(client=client, run_id=identity.server_run_id, entry=entries[0])


def _log_path(*, client: "MlflowClient", run_id: str, entry: Entry, path: Path) -> None:
    if entry.kind == "model":
        send_model(client=client, run_id=run_id, folder=path)
    elif entry.kind == "image":
        log_image(client=client, run_id=run_id, path=path, entry=entry)
    else:
        log_file(client=client, run_id=run_id, path=path, into=str(entry.value))


def _log_text(*, client: "MlflowClient", run_id: str, entry: Entry) -> None:
    if entry.kind == "input":
        _log_input(client=client, run_id=run_id, entry=entry)
    elif entry.kind == "text":
        client.log_text(run_id, str(entry.value), entry.key)
    else:
        _set_status(client=client, run_id=run_id, entry=entry)


def _log_facts(*, client: "MlflowClient", entries: Sequence[Entry], known: Known, identity: Identity) -> None:
    from mlflow.entities import Metric, Param, RunTag

    numbers, points = without_repetitions(entries, points=known.points, resumes=identity.resumes)
    metrics = [Metric(entry.key, float(entry.value), entry.time, entry.step) for entry in numbers]
    # The last value of a name counts: a resumed run says its parameters twice.
    params = {entry.key: str(entry.value) for entry in entries if entry.kind == "param"}
    tags = {entry.key: str(entry.value) for entry in entries if entry.kind == "tag"}
    changed = _changes(params, known.params) | _changes(tags, known.tags)
    new_params = [Param(key, value) for key, value in params.items() if key not in known.params]
    new_tags = [RunTag(key, value) for key, value in tags.items() if key not in known.tags]
    new_tags += [RunTag(*item) for item in changed.items()]
    if metrics or new_params or new_tags:
        client.log_batch(identity.server_run_id, metrics, new_params, new_tags)
    known.points.update(points)
    known.params.update({param.key: param.value for param in new_params})


def without_repetitions(
    entries: Sequence[Entry], *, points: dict[str, tuple[int, int]], resumes: Sequence[int]
) -> tuple[list[Entry], dict[str, tuple[int, int]]]:
    """The metrics that a server should be given.

    A resumed run does steps again that it had told of before it ended, and would split its curves. What is
    sent a second time because an answer was lost is the server's to leave out: it keeps a number once for
    each run, name, step, time and value.

    Args:
        entries: In the order in which they were logged.
        points: Last step and time of each metric before them.
        resumes: When the run was gone on with, in milliseconds since 1970.

    Returns:
        The entries, and the last step and time of their metrics after them.
    """
    kept: list[Entry] = []
    last: dict[str, tuple[int, int]] = {}
    for entry in entries:
        if entry.kind != "metric":
            continue
        step, moment = last.get(entry.key) or points.get(entry.key) or (-1, 0)
        begun = max((resume for resume in resumes if resume <= entry.time), default=0)
        if moment < begun and entry.step <= step:
            continue
        kept.append(entry)
        last[entry.key] = max((step, moment), (entry.step, entry.time))
    return kept, last


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


def _set_status(*, client: "MlflowClient", run_id: str, entry: Entry) -> None:
    status = str(entry.value)
    if status == "RUNNING":
        client.update_run(run_id, status=status)
    else:
        client.set_terminated(run_id, status=status, end_time=entry.time or None)
