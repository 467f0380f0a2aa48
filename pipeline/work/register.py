"""Puts a run's network into MLflow's registry, under a name and perhaps an alias."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline import checkpoints
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.registry import SCHEME, registry, versions_of
from pipeline.remote_runs import find_or_fetch
from pipeline.runs import Run
from pipeline.served.saving import pack
from pipeline.tracking_identity import load_identity, public_address
from pipeline.tracking_models import NAME, model_of, send_model
from pipeline.tracking_pending import send_pending
from pipeline.tracking_store import tracking_uri
from pipeline.work.register_panel import Registered, panel

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a version shall be called, and what is said of it.

    Attributes:
        name: Of the model.
        alias: Given to this version, and taken from the one that had it; None for none.
        description: For people; None leaves an older one.
        tags: For people, beside older ones.
    """

    name: str
    alias: str | None
    description: str | None
    tags: Mapping[str, str]


def run(
    *,
    composed: Composed,
    name: str,
    run: str = "latest",
    task_name: str | None = None,
    alias: str | None = None,
    description: str | None = None,
    tags: list[str] | None = None,
) -> int:
    """Make a version of a registered model out of a run's kept network.

    Args:
        composed: The whole configuration.
        name: Of the model.
        run: `latest`, a run id, or the beginning of one.
        task_name: The latest run of this task; typed as `task=`.
        alias: Given to this version, and taken from the one that had it.
        description: Of this version.
        tags: Of this version, each `key=value`.

    Returns:
        The exit code, 0.

    Raises:
        Mistake: The server does not answer, or the run is not there, or has no network to be asked.
    """
    found = find_or_fetch(root=composed.root, name=run, task=task_name)
    split = [tag.partition("=") for tag in tags or []]
    wish = Wish(name=name, alias=alias, description=description, tags={key: value for key, _, value in split})
    with registry(composed.root) as client:
        with console.status("looking for the run's model"):
            send_pending(composed.root)
            run_id = server_run_id(found, uri=tracking_uri(composed.root))
            model = model_of(client, run_id) or _made(client, found, run_id=run_id)
        version = registered(client, model=model, run=found, wish=wish)
    console.print(panel(version, root=composed.root))
    return 0


def server_run_id(run: Run, *, uri: str) -> str:
    """The run's id at the server, which is another one where the server was away when the run began.

    Args:
        run: The run.
        uri: Address of the server.

    Raises:
        Mistake: The run is another server's, or this one does not know it yet.
    """
    identity = load_identity(run.folder)
    if identity is None:  # fetched from this server
        return run.run_id
    named = f"run={run.run_id[:8]}"
    if identity.server != public_address(uri):
        raise Mistake(
            f"{named} belongs to MLflow at {identity.server}, and this is {public_address(uri)}; set "
            "MLFLOW_TRACKING_URI to that one"
        )
    if not identity.server_run_id:
        raise Mistake(
            f"{named}: MLflow at {identity.server} could not be told of this run yet; make sync says why"
        )
    return identity.server_run_id


def _made(client: "MlflowClient", run: Run, *, run_id: str) -> "LoggedModel":
    """The model of a run that has none: it is older, or was trained with logger.log_model=false."""
    folder = run.folder / NAME
    if not (folder / "MLmodel").is_file() and not pack(checkpoints.kept(run), folder):
        raise Mistake(
            f"run={run.run_id[:8]} is one picture and holds no network that could be asked for another; "
            "register a run of model=fast_style or model=adain"
        )
    send_model(client=client, run_id=run_id, folder=folder)
    model = model_of(client, run_id)
    assert model is not None
    return model


def registered(client: "MlflowClient", *, model: "LoggedModel", run: Run, wish: Wish) -> Registered:
    """The version of a registered model that is this network, made if there is none.

    Args:
        client: MLflow's client.
        model: The run's model.
        run: The run.
        wish: What the version shall be called.
    """
    _create(client, wish.name)
    source = f"{SCHEME}{model.model_id}"
    same = next((each for each in versions_of(client, wish.name) if each.source == source), None)
    version = same or client.create_model_version(
        wish.name,
        source=source,
        run_id=model.source_run_id,
        model_id=model.model_id,
        tags=dict(wish.tags),
        description=wish.description,
    )
    if same is not None:
        _describe(client, same, wish=wish)
    return Registered(
        name=wish.name,
        version=int(version.version),
        is_new=same is None,
        alias=wish.alias,
        taken_from=_give_alias(client, version, alias=wish.alias),
        run=run,
    )


def _create(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _describe(client: "MlflowClient", version: "ModelVersion", *, wish: Wish) -> None:
    """What is said of a version that was there before: the newer words count."""
    if wish.description is not None:
        client.update_model_version(wish.name, version.version, wish.description)
    for key, value in wish.tags.items():
        client.set_model_version_tag(wish.name, version.version, key, value)


def _give_alias(client: "MlflowClient", version: "ModelVersion", *, alias: str | None) -> int | None:
    """The version that the alias was taken from; None where it was nobody's, or this one's."""
    if alias is None:
        return None
    before = client.get_registered_model(version.name).aliases.get(alias)
    client.set_registered_model_alias(version.name, alias, version.version)
    return None if before is None or str(before) == str(version.version) else int(before)
