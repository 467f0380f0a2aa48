"""One run as the tracking server sees it: opened or created when the server answers, then told things."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from socket import gaierror
from typing import TYPE_CHECKING

from pipeline.tracking_entries import Known, deliver, known_of
from pipeline.tracking_file import Entry
from pipeline.tracking_identity import Identity, load_identity, public_address, without_secrets
from pipeline.tracking_opening import create_run, find_marked, find_run
from pipeline.tracking_store import prepare_library, prepare_store

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)


class ServerRun:
    """Tells one run's entries to a server and survives its absence.

    Args:
        uri: Address of the server or database.
        identity: The run.

    Attributes:
        problem: Why the last attempt failed, after "MLflow at <address>"; empty where none has.
        silent: Whether it failed because no answer came.
    """

    def __init__(self, *, uri: str, identity: Identity) -> None:
        self.identity = identity
        self.folder: Path | None = None
        self.experiment_id = ""
        self._uri = uri
        self._client: MlflowClient | None = None
        self._known: Known | None = None
        self._answers = True
        self._tried = False
        self.problem = ""
        self.silent = False

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
            self.identity = replace(
                self.identity,
                server_run_id=known,
                started=before.started,
                mark=before.mark,
                resumes=(*before.resumes, *self.identity.resumes),
            )
        self.folder = folder.resolve()
        self.identity.save(folder)

    def send(self, entries: Sequence[Entry]) -> bool:
        """Send entries that go together: some facts, or one of anything else.

        Returns:
            Whether they are settled: sent, or refused for good.
        """
        return self.open() and self._attempt(entries)

    def _open(self) -> None:
        run = find_run(self.client, self.identity) or self._make()
        if run.info.lifecycle_stage == "deleted":
            self.client.restore_run(run.info.run_id)
        self._known = known_of(run)
        self.experiment_id = str(run.info.experiment_id)
        if run.info.run_id != self.identity.server_run_id:
            self.identity = replace(self.identity, server_run_id=run.info.run_id)
            if self.folder is not None:
                self.identity.save(self.folder)

    def _make(self) -> "Run":
        """A new run, unless an earlier attempt made it and only its answer was lost."""
        tried_before, self._tried = self._tried or bool(self.identity.run_id), True
        marked = find_marked(self.client, self.identity) if tried_before and self.identity.mark else None
        return marked or create_run(self.client, self.identity)

    def _attempt(self, entries: Sequence[Entry]) -> bool:
        """True where the entries are settled: sent, or refused for good."""
        assert self._known is not None
        try:
            deliver(
                client=self.client,
                entries=entries,
                known=self._known,
                identity=self.identity,
                folder=self.folder,
            )
        except Exception as problem:  # noqa: BLE001 - as in `open`
            return self._settle_refusal(entries, problem)
        self._report_return()
        return True

    def _settle_refusal(self, entries: Sequence[Entry], problem: Exception) -> bool:
        """Look for the one bad entry, so that it does not hold up the others for ever."""
        if not _is_refusal(problem) or self._is_gone():
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
        self.silent = _is_silence(problem)
        self.problem = "does not answer" if self.silent else f"cannot be told ({self._reason(problem)})"
        if self._answers:
            log.warning(
                "MLflow at %s %s; training goes on, metrics wait on disk and are sent later",
                public_address(self._uri),
                self.problem,
            )
        self._answers = False

    def _report_return(self) -> None:
        if not self._answers:
            log.info("MLflow at %s answers again", public_address(self._uri))
        self._answers = True

    def _reason(self, problem: Exception) -> str:
        """First line of a message, without a password in it."""
        text = without_secrets(str(problem), self._uri) or type(problem).__name__
        return text.splitlines()[0][:160]


def _is_refusal(problem: Exception) -> bool:
    """Whether the server will never take it; MLflow answers files by plain HTTP, everything else by codes."""
    response = getattr(problem, "response", None)
    if response is not None and not hasattr(problem, "error_code"):
        return response.status_code in (400, 411, 413, 414, 415, 422)
    return getattr(problem, "error_code", "") in (
        "INVALID_PARAMETER_VALUE",
        "BAD_REQUEST",
        "RESOURCE_DOES_NOT_EXIST",
    )


def _is_silence(problem: Exception) -> bool:
    """Whether no connection came about: MLflow says so of a server in words, of a database by the causes."""
    text = str(problem)
    if "API request to" in text:
        return "failed with exception" in text or "timeout exception" in text
    return any(isinstance(cause, ConnectionError | TimeoutError | gaierror) for cause in _causes(problem))


def _causes(problem: BaseException | None) -> Iterator[BaseException]:
    while problem is not None:
        yield problem
        problem = problem.__cause__
