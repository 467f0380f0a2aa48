"""A packed network as MLflow's model: on the page of its run, and among the models of its experiment."""

import hashlib
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking_store import prepare_library

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run
    from mlflow.models import Model
    from mlflow.tracking import MlflowClient

NAME = "model"
"""Of the folder in a run's folder, and of the model: `runs:/<run id>/model`."""

_DIGEST = "digest"  # tag of a model: which weights it has
_SHOWN = ("val/", "test/", "parent/")  # measures of the weights that were kept, and of none else
_BLOCK = 1 << 20

log = logging.getLogger(__name__)


def send_model(*, client: "MlflowClient", run_id: str, folder: Path) -> None:
    """Give MLflow a packed network; one that it has already is not sent again.

    The folder, which holds the weights a second time, is removed once MLflow has them.

    Args:
        client: MLflow's client.
        run_id: The run's id at the server.
        folder: What `pipeline.served.saving.pack` made.
    """
    prepare_library()
    if not (folder / "MLmodel").is_file():
        if model_of(client, run_id) is None:  # else `make register` was faster
            log.warning("the packed network in %s was gone before MLflow could be given it", folder)
        return
    run, digest = client.get_run(run_id), _digest(folder)
    model = _found(client, run, digest=digest) or _created(client, run, folder=folder, digest=digest)
    if str(model.status) != "READY":
        _complete(client, run, model=model, folder=folder)
    shutil.rmtree(folder)


def model_of(client: "MlflowClient", run_id: str) -> "LoggedModel | None":
    """The newest complete model of a run; None where it has none.

    Args:
        client: MLflow's client.
        run_id: The run's id at the server.
    """
    ready = [model for model in _models(client, client.get_run(run_id)) if str(model.status) == "READY"]
    return max(ready, key=lambda model: int(model.creation_timestamp), default=None)


def _models(client: "MlflowClient", run: "Run") -> "list[LoggedModel]":
    return list(
        client.search_logged_models(
            [run.info.experiment_id],
            filter_string=f"source_run_id = '{run.info.run_id}' AND name = '{NAME}'",
        )
    )


def _found(client: "MlflowClient", run: "Run", *, digest: str) -> "LoggedModel | None":
    """The model with these weights, perhaps one whose sending was interrupted."""
    return next((each for each in _models(client, run) if each.tags.get(_DIGEST) == digest), None)


def _created(client: "MlflowClient", run: "Run", *, folder: Path, digest: str) -> "LoggedModel":
    facts = {key: str(value) for key, value in (_read(folder).metadata or {}).items() if key != "run_id"}
    return client.create_logged_model(
        run.info.experiment_id,
        name=NAME,
        source_run_id=run.info.run_id,
        tags={_DIGEST: digest},
        params=facts,
        model_type=facts.get("task"),
    )


def _complete(client: "MlflowClient", run: "Run", *, model: "LoggedModel", folder: Path) -> None:
    from mlflow.entities import LoggedModelOutput, Metric

    known = {each.model_id for each in run.outputs.model_outputs} if run.outputs else set()
    if model.model_id not in known:
        client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
    described = _read(folder)
    described.run_id, described.artifact_path = run.info.run_id, model.artifact_location
    described.model_id = described.model_uuid = model.model_id
    described.save(str(folder / "MLmodel"))
    client.log_model_artifacts(model.model_id, str(folder))
    # The same points once more, which the run has already and the model's table has not.
    measures = [
        Metric(each.key, each.value, each.timestamp, each.step, model_id=model.model_id)
        for each in run.data._metric_objs
        if each.key.startswith(_SHOWN)
    ]
    client.log_batch(run.info.run_id, measures)
    client.finalize_logged_model(model.model_id, "READY")


def _read(folder: Path) -> "Model":
    from mlflow.models import Model

    return Model.load(str(folder / "MLmodel"))


def _digest(folder: Path) -> str:
    """Of the weights: 16 hex digits."""
    digest = hashlib.sha256()
    for path in sorted((folder / "data").rglob("*.ckpt")):
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()[:16]
