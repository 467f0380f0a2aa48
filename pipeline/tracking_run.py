"""A run as MLflow is told of it: kept on disk first, sent in batches by a thread of its own.

Knows nothing of Lightning, so that a process that does not train need not load it.
"""

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.console import console
from pipeline.tracking_file import PENDING_FILE, Entry
from pipeline.tracking_identity import Identity, public_address
from pipeline.tracking_pending import EarlierRuns
from pipeline.tracking_queue import Outbox
from pipeline.tracking_server import ServerRun
from pipeline.tracking_store import prepare_library, runs_page
from pipeline.tracking_system import SystemSampler
from pipeline.tracking_values import config_entries, input_entry, metric_entries, now

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_UNSAID = 1.0
"""Seconds that a person waits for the end of a run without being told for what."""

log = logging.getLogger(__name__)


class TrackedRun:
    """One run of MLflow's.

    Call `attach` once the run's folder exists and `finish` at the very end.

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
        patience: Seconds that `finish` waits for a slow server; what is not there by then waits on disk.
        active: Whether anything is sent; else every method does nothing.
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
        patience: float = 60.0,
        active: bool = True,
    ) -> None:
        prepare_library()
        identity = Identity(
            run_id=run_id or "",
            server=public_address(uri),
            server_run_id="",
            experiment=experiment,
            run_name=run_name,
            artifact_location=artifact_location,
            tags=dict(tags),
            started=now(),
            mark=uuid.uuid4().hex,
            resumes=(now(),) if run_id else (),
        )
        self._active = active
        self._resumed = run_id is not None
        self._server = ServerRun(uri=uri, identity=identity)
        self._outbox = Outbox(send=self._server.send, interval=interval)
        self._system_interval = system_interval
        self._sampler: SystemSampler | None = None
        self._earlier: EarlierRuns | None = None
        self._patience = patience
        self._finished = False
        if self._active and not self._resumed:
            self._server.open()  # for the id, after which the run's folder is named
            self._identify(self._server.identity.server_run_id or identity.mark)

    def _identify(self, run_id: str) -> None:
        self._server.identity = replace(self._server.identity, run_id=run_id)

    @property
    def run_id(self) -> str:
        """The run's id; one of our own where the server was away; empty on ranks that were given none."""
        return self._server.identity.run_id

    @property
    def address(self) -> str:
        """Where the run is remembered, for people to read: its page on a server, else the database."""
        identity, experiment_id = self._server.identity, self._server.experiment_id
        if not identity.server.startswith("http") or not experiment_id:
            return identity.server
        return runs_page(identity.server, experiment_id, identity.server_run_id)

    @property
    def client(self) -> "MlflowClient":
        """MLflow's client."""
        return self._server.client

    def attach(self, folder: Path) -> None:
        """Start sending; what the server does not take waits in `folder`."""
        if not self._active:
            return
        self._server.settle(folder)
        if not self._outbox.open(folder):
            log.warning(
                "another process is sending what waits of %s; until it is done, metrics of this one "
                "wait in memory",
                folder.name,
            )
        self._outbox.start()
        if self._resumed:
            tags = self._server.identity.tags.items()
            self._put([Entry(kind="status", key="status", value="RUNNING", time=now())])
            self._put([Entry(kind="tag", key=key, value=value) for key, value in tags])
        if self._system_interval is not None:
            self._sampler = SystemSampler(
                put=lambda values, step: self._put(metric_entries(values, step=step)),
                interval=self._system_interval,
                started=self._server.identity.started,
            )

    def send_earlier(self, root: Path) -> None:
        """Send what earlier runs could not, beside this one.

        Args:
            root: Folder that holds `outputs/`.
        """
        if self._active:
            self._earlier = EarlierRuns(root)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Queue numbers; returns at once."""
        self._put(metric_entries(metrics, step=step or 0))

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Queue a nested configuration as dotted parameters.

        A parameter that a resumed run changes becomes the tag `changed.<name>`.
        """
        self._put(config_entries(config))

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Queue facts that are known only once the run goes on."""
        self._put([Entry(kind="tag", key=key, value=value) for key, value in tags.items()])

    def log_file(self, path: Path, folder: str = "") -> None:
        """Queue a file; it is read when it is sent.

        Args:
            path: A file or a folder.
            folder: Where to put it among the run's artefacts.
        """
        self._put([Entry(kind="file", key=self._relative(path), value=folder)])

    def log_image(self, path: Path, *, name: str, step: int) -> None:
        """Queue a picture that has a step, so that the pages line it up with those of other steps and runs.

        Args:
            path: A PNG file in the run's folder; it is read when it is sent.
            name: The same for every picture of a series, and for every run of a task.
            step: Its place in the series.
        """
        # Not now: pictures of epochs that a resumed run does again take the place of the first ones.
        started = self._server.identity.started
        self._put([Entry(kind="image", key=self._relative(path), value=name, step=step, time=started)])

    def log_model(self, folder: Path) -> None:
        """Queue a packed network, see `pipeline.served.saving`; its folder is gone once it was sent."""
        self._put([Entry(kind="model", key=self._relative(folder), value="")])

    def log_input(self, summary: Mapping[str, Any]) -> None:
        """Queue the data set: its `name`, `sizes`, `digest` and whatever else describes it."""
        self._put([input_entry(summary)])

    def finish(self, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        """Send what waits and set the status; what cannot be sent in time stays in the run's folder."""
        if not self._active or self._finished:
            return
        self._finished = True
        if self._sampler is not None:
            self._sampler.stop()
        self._put([Entry(kind="status", key="status", value=status, time=now())])
        left = self._outbox.close(patience=_UNSAID)
        if left:
            with console.status(f"sending {left} entries to MLflow"):
                left = self._outbox.close(patience=self._patience)
        if self._earlier is not None:
            self._earlier.stop()
        if left:
            server = self._server.identity.server
            log.warning(
                "%d entries wait in %s; `make sync` or the next run on %s sends them",
                left,
                PENDING_FILE,
                server,
            )

    def _put(self, entries: Sequence[Entry]) -> None:
        if self._active:
            self._outbox.put(entries)

    def _relative(self, path: Path) -> str:
        """Inside the run's folder its own name, so that the folder may be moved before it is sent."""
        folder = self._server.folder
        absolute = path.resolve()
        if folder is not None and absolute.is_relative_to(folder):
            return str(absolute.relative_to(folder))
        return str(absolute)
