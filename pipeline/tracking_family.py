"""Which run stands under which in MLflow, also where one of them was known by an id of our own at first."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PARENT_TAG = "mlflow.parentRunId"
"""MLflow's own tag, by which its pages put a run below another one."""

LOCAL_ID_TAG = "run_id"
"""Tag with the run's own id where the server was away at its start and later gave it another one."""


def adopted(tags: dict[str, str], *, client: "MlflowClient", experiment_id: str) -> dict[str, str]:
    """The tags of a run that is about to be made, with its parent's id as the server knows it.

    Args:
        tags: Of the run.
        client: MLflow's client.
        experiment_id: Where both are.

    Returns:
        The same tags where the server has no run with this id of our own; the parent, when it is made,
        looks for its children.
    """
    parent = tags.get(PARENT_TAG)
    if parent is None:
        return tags
    found = _tagged(client, experiment_id, key=LOCAL_ID_TAG, value=parent)
    return {**tags, PARENT_TAG: found[0]} if found else tags


def adopt(*, client: "MlflowClient", experiment_id: str, run_id: str, server_run_id: str) -> None:
    """Put the children that came to the server before their parent below it.

    Args:
        client: MLflow's client.
        experiment_id: Where they are.
        run_id: The parent's id as its children know it.
        server_run_id: Its id at the server.
    """
    for child in _tagged(client, experiment_id, key=PARENT_TAG, value=run_id):
        client.set_tag(child, PARENT_TAG, server_run_id)


def _tagged(client: "MlflowClient", experiment_id: str, *, key: str, value: str) -> list[str]:
    runs = client.search_runs([experiment_id], f"tags.`{key}` = '{value}'", max_results=1000)
    return [str(run.info.run_id) for run in runs]
