"""A run at the tracking server: found, or made."""

from typing import TYPE_CHECKING

from pipeline.tracking_family import LOCAL_ID_TAG, adopt, adopted
from pipeline.tracking_identity import Identity

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

MARK_TAG = "mlflow.pipeline.mark"
"""Tag by which a run is found that a slow server made without our hearing of it; MLflow's pages hide it."""


def find_run(client: "MlflowClient", identity: Identity) -> "Run | None":
    """The run by its id at the server, or by its own; None where the server knows neither."""
    from mlflow.exceptions import MlflowException

    for run_id in (identity.server_run_id, identity.run_id):
        if not run_id:
            continue
        try:
            return client.get_run(run_id)
        except MlflowException as problem:
            if problem.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    return None


def find_marked(client: "MlflowClient", identity: Identity) -> "Run | None":
    """The run that an earlier attempt made, though its answer never came.

    More than one may have been made; the others are deleted, since nothing was ever told to them.
    """
    runs = client.search_runs(
        [experiment_id(client, identity)], f"tags.`{MARK_TAG}` = '{identity.mark}'", order_by=["run_id"]
    )
    for other in runs[1:]:
        client.delete_run(other.info.run_id)
    if runs and identity.run_id:
        _tell_own_id(client, identity, runs[0])
    return runs[0] if runs else None


def create_run(client: "MlflowClient", identity: Identity) -> "Run":
    """A new run with the tags that it is found by."""
    experiment = experiment_id(client, identity)
    tags = {**identity.tags, MARK_TAG: identity.mark}
    if identity.run_id:
        tags[LOCAL_ID_TAG] = identity.run_id
    run = client.create_run(
        experiment_id=experiment,
        start_time=identity.started,
        tags=adopted(tags, client=client, experiment_id=experiment),
        run_name=identity.run_name,
    )
    if identity.run_id:
        _tell_own_id(client, identity, run)
    return run


def experiment_id(client: "MlflowClient", identity: Identity) -> str:
    """The experiment of a run, made or brought back where there is none."""
    from mlflow.exceptions import MlflowException

    name = identity.experiment
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=identity.artifact_location)
        except MlflowException as problem:
            if problem.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another process was faster
    assert found is not None
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _tell_own_id(client: "MlflowClient", identity: Identity, run: "Run") -> None:
    """The id that people and the run's children know it by."""
    if LOCAL_ID_TAG not in run.data.tags:
        client.set_tag(run.info.run_id, LOCAL_ID_TAG, identity.run_id)
    adopt(
        client=client,
        experiment_id=run.info.experiment_id,
        run_id=identity.run_id,
        server_run_id=run.info.run_id,
    )
