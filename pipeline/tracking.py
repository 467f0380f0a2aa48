"""What MLflow is told of a run; training never stops because of it."""

from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers.logger import Logger

from pipeline.tracking_run import TrackedRun
from pipeline.tracking_store import artifact_location, prepare_store, tracking_uri
from pipeline.tracking_values import flatten

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

__all__ = ["MlflowTracker", "artifact_location", "flatten", "prepare_store", "tracking_uri"]


class MlflowTracker(TrackedRun, Logger):
    """Lightning's logger for MLflow. Only rank zero talks to the server.

    Args:
        experiment: Name of the MLflow experiment, made if there is none.
        run_name: Name in MLflow's list.
        uri: Address of the server or database, see `tracking_uri`.
        artifact_location: Folder for the files of a new experiment; None lets the server decide.
        tags: Facts of the machine and the code, see `pipeline.environment`.
        run_id: None for a new run; the id of a run to go on with it.
        interval: Seconds between two sendings.
        system_interval: Seconds between two samples of processor, memory, disk, network and GPU;
            None takes none.
        log_model: Whether the kept network is packed and given to MLflow as a model.
        patience: Seconds that `finish` waits for a slow server; what is not there by then waits on disk.
    """

    def __init__(
        self,
        *,
        experiment: str,
        run_name: str,
        uri: str,
        artifact_location: str | None,
        tags: Mapping[str, str],
        run_id: str | None,
        interval: float = 1.0,
        system_interval: float | None = 10.0,
        log_model: bool = True,
        patience: float = 60.0,
    ) -> None:
        Logger.__init__(self)
        self.wants_model = log_model
        super().__init__(
            experiment=experiment,
            run_name=run_name,
            uri=uri,
            artifact_location=artifact_location,
            tags=tags,
            run_id=run_id,
            interval=interval,
            system_interval=system_interval,
            patience=patience,
            active=getattr(rank_zero_only, "rank", 0) == 0,  # Lightning keeps it there
        )

    @property
    def name(self) -> str:
        """The experiment."""
        return self._server.identity.experiment

    @property
    def version(self) -> str:
        """The run's id."""
        return self.run_id

    @property
    def save_dir(self) -> str | None:
        """The run's folder, once attached."""
        return None if self._server.folder is None else str(self._server.folder)

    @property
    def experiment(self) -> "MlflowClient":
        """MLflow's client, as `logger.experiment` is Lightning's word for it."""
        return self.client

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Lightning's name for `log_config`."""
        self.log_config(vars(params) if isinstance(params, Namespace) else params)
