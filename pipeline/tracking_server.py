"""One run as the tracking server sees it: opened or created when the server answers, then told things."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking_entries import Known, deliver, known_of
from pipeline.tracking_identity import Identity, load_identity, public_address
from pipeline.tracking_queue import Entry
from pipeline.tracking_store import prepare_library, prepare_store

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

LOCAL_ID_TAG = "run_id"
"""Tag with the run's own id where the server was away at its start and later gave it another one."""

log = logging.getLogger(__name__)


class ServerRun:
    """Tells one run's entries to a server and survives its absence.

    Args:
        uri: Address of the server or database.
        identity: The run.
    """

    def __init__(self, *, uri: str, identity: Identity) -> None:
        self.identity = identity
        self.folder: Path | None = None
        self.experiment_id = ""
        self._uri = uri
        self._client: MlflowClient | None = None
        self._known: Known | None = None
        self._answers = True

    @property
    def client(self) -> "MlflowClient":
        """MLflow's client for this address; the local database is made if there is none."""
        if self._client is None:
            prepare_library()
            from mlflow.tracking import MlflowClient

            prepare_store(self._uri)
            self._client = MlflowClient(self._uri)
        return self._client

    def open(self) -> bool:
        """Find or create the run; False where the server does not answer."""
        if self._known is not None:
            return True
        try:
            self._open()
        except Exception as problem:  # noqa: BLE001 - whatever it is: training goes on without the server
            self._report_outage(problem)
            return False
        self._report_return()
        return True

    def settle(self, folder: Path) -> None:
        """Keep the identity in `folder`; a resumed run goes by the one that is there."""
        before = load_identity(folder)
        if before is not None:
            known = before.server_run_id if before.server == self.identity.server else ""
            self.identity = replace(self.identity, server_run_id=known, started=before.started)
        self.folder = folder.resolve()
        self.identity.save(folder)

    def send(self, entries: Sequence[Entry]) -> list[Entry]:
        """Send entries; files come after facts, and the status last.

        Returns:
            Those that must be tried again, in their order.
        """
        if not self.open():
            return list(entries)
        facts = [entry for entry in entries if entry.kind in ("metric", "param", "tag")]
        if not self._attempt(facts):
            return list(entries)
        others = [entry for entry in entries if entry.kind not in ("metric", "param", "tag")]
        left: list[Entry] = []
        for entry in sorted(others, key=lambda entry: entry.kind == "status"):
            # After one file failed the next would only cost another timeout; the status may still pass.
            if (left and entry.kind != "status") or not self._attempt([entry]):
                left.append(entry)
        return left

    def _open(self) -> None:
        run = self._find() or self._create()
        if run.info.lifecycle_stage == "deleted":
            self.client.restore_run(run.info.run_id)
        self._known = known_of(run)
        self.experiment_id = str(run.info.experiment_id)
        if run.info.run_id != self.identity.server_run_id:
            self.identity = replace(self.identity, server_run_id=run.info.run_id)
            if self.folder is not None:
                self.identity.save(self.folder)

    def _find(self) -> "Run | None":
        from mlflow.exceptions import MlflowException

        for run_id in (self.identity.server_run_id, self.identity.run_id):
            if not run_id:
                continue
            try:
                return self.client.get_run(run_id)
            except MlflowException as problem:
                if problem.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        return None

    def _create(self) -> "Run":
        identity = self.identity
        tags = {**identity.tags, LOCAL_ID_TAG: identity.run_id} if identity.run_id else identity.tags
        return self.client.create_run(
            experiment_id=self._experiment_id(),
            start_time=identity.started,
            tags=tags,
            run_name=identity.run_name,
        )

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self.identity.experiment
        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return self.client.create_experiment(name, artifact_location=self.identity.artifact_location)
            except MlflowException as problem:
                if problem.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self.client.get_experiment_by_name(name)  # another process was faster
        assert found is not None
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _attempt(self, entries: Sequence[Entry]) -> bool:
        """True where the entries are settled: sent, or refused for good."""
        from mlflow.exceptions import MlflowException

        assert self._known is not None
        try:
            deliver(
                client=self.client,
                run_id=self.identity.server_run_id,
                entries=entries,
                known=self._known,
                folder=self.folder,
            )
        except MlflowException as problem:
            return self._settle_refusal(entries, problem)
        except Exception as problem:  # noqa: BLE001 - as in `open`
            self._report_outage(problem)
            return False
        self._report_return()
        return True

    def _settle_refusal(self, entries: Sequence[Entry], problem: "MlflowException") -> bool:
        """Look for the one bad entry, so that it does not hold up the others for ever."""
        refused = problem.error_code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST")
        if not refused or self._is_gone():
            self._report_outage(problem)
            return False
        if len(entries) > 1:
            middle = len(entries) // 2
            return self._attempt(entries[:middle]) and self._attempt(entries[middle:])
        log.warning("MLflow refused %s %s: %s", entries[0].kind, entries[0].key, self._reason(problem))
        return True

    def _is_gone(self) -> bool:
        """Whether somebody deleted the run; then the next attempt opens it again."""
        try:
            run = self.client.get_run(self.identity.server_run_id)
        except Exception:  # noqa: BLE001 - no answer is an answer: try later
            self._known = None
            return True
        if run.info.lifecycle_stage == "deleted":
            self._known = None
        return self._known is None

    def _report_outage(self, problem: Exception) -> None:
        """One line for each outage, however many attempts it takes."""
        if self._answers:
            log.warning(
                "MLflow at %s %s; training goes on, metrics wait on disk and are sent later",
                public_address(self._uri),
                "does not answer" if _is_silence(problem) else f"cannot be told ({self._reason(problem)})",
            )
        self._answers = False

    def _report_return(self) -> None:
        if not self._answers:
            log.info("MLflow at %s answers again", public_address(self._uri))
        self._answers = True

    def _reason(self, problem: Exception) -> str:
        """First line of a message, without a password in it."""
        text = str(problem).replace(self._uri, public_address(self._uri)) or type(problem).__name__
        return text.splitlines()[0][:160]


def _is_silence(problem: Exception) -> bool:
    """Whether no connection came about: MLflow wraps all of these in one exception."""
    text = str(problem)
    return "API request to" in text and ("failed with exception" in text or "timeout exception" in text)
