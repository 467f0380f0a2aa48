"""One training run seen from outside: its folder, its logger, its lock, and how it ended."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from pytorch_lightning.loggers import Logger

from pipeline import build, meeting, record, requeue
from pipeline.compose import Composed
from pipeline.environment import environment_facts
from pipeline.errors import StopRequested
from pipeline.runs import STARTED_AS, find_run, outputs
from pipeline.sweeps.jobs import TAGS
from pipeline.tracking import MlflowTracker, artifact_location, tracking_uri

Status = Literal["FINISHED", "FAILED", "KILLED"]

_RUN_NAME = "mlflow.runName"


@dataclass(frozen=True, kw_only=True)
class Session:
    """A run in progress.

    Attributes:
        folder: The run's folder.
        run_id: Its MLflow run id, or one of the same form without MLflow.
        logger: What Lightning logs to; None with `logger=none`.
        resumed: Whether an interrupted run goes on.
        leads: Whether this process writes and speaks for the run; the other ranks only compute.
    """

    folder: Path
    run_id: str
    logger: Logger | None
    resumed: bool
    leads: bool = True

    @property
    def tracker(self) -> MlflowTracker | None:
        """The logger, where it is MLflow's."""
        return self.logger if isinstance(self.logger, MlflowTracker) else None

    def keep_input(self, summary: Mapping[str, Any]) -> None:
        """Keep which data the run is of: its name, digest and sizes."""
        if self.leads:
            known = {key: summary[key] for key in ("name", "digest", "sizes") if key in summary}
            record.update_facts(self.folder, data=known)
            if self.tracker is not None:
                self.tracker.log_input(summary)

    def keep_file(self, path: Path, folder: str = "") -> None:
        """Hand a file of the run to MLflow too."""
        if self.leads and self.tracker is not None and path.exists():
            self.tracker.log_file(path, folder)


@contextmanager
def opened(composed: Composed, *, config: dict[str, Any]) -> Iterator[Session]:
    """Open a new run, or an interrupted one again, and close it with the right status whatever happens.

    Args:
        composed: The verb's configuration; `settings["resume"]` holds the id of a run to go on with.
        config: The configuration with what only the data knew filled in.
    """
    if follows():
        yield _followed()
        return
    session = _open(composed, config=config)
    meeting.tell(
        meeting.RUN, {"folder": str(session.folder), "run_id": session.run_id, "resumed": session.resumed}
    )
    status: Status = "FAILED"
    with record.locked(session.folder), record.logged(session.folder) as log_file:
        try:
            _begin(session, composed=composed, config=config)
            yield session
            status = "FINISHED"
        except (StopRequested, KeyboardInterrupt):
            status = "KILLED"
            raise
        finally:
            try:
                record.update_facts(session.folder, status=status)
            finally:
                session.keep_file(log_file)
                if session.tracker is not None:
                    session.tracker.finish(status)


def follows() -> bool:
    """Whether this process is a further rank of a run that another one opens."""
    return not meeting.leads()


def _followed() -> Session:
    run = meeting.learn(meeting.RUN)
    folder = Path(run["folder"])
    return Session(folder=folder, run_id=run["run_id"], logger=None, resumed=run["resumed"], leads=False)


def _open(composed: Composed, *, config: dict[str, Any]) -> Session:
    resume = composed.settings["resume"]
    if resume:
        folder = find_run(root=composed.root, name=resume).folder
        logger = _logger(composed, config=config, run_id=resume, folder=folder)
        return Session(folder=folder, run_id=resume, logger=logger, resumed=True)
    if "run_id" not in config["logger"]:
        run_id = uuid4().hex
        folder = _new_folder(composed, config=config, run_id=run_id)
        return Session(
            folder=folder,
            run_id=run_id,
            logger=_logger(composed, config=config, folder=folder),
            resumed=False,
        )
    # MLflow chooses the id, after which the folder is named.
    logger = _logger(composed, config=config)
    assert isinstance(logger, MlflowTracker)
    try:
        folder = _new_folder(composed, config=config, run_id=logger.run_id)
    except OSError:
        logger.finish("FAILED")
        raise
    return Session(folder=folder, run_id=logger.run_id, logger=logger, resumed=False)


def _new_folder(composed: Composed, *, config: dict[str, Any], run_id: str) -> Path:
    choices = config["choices"]
    return record.new_folder(
        outputs=outputs(composed.root), task=choices["task"], model=choices["model"], run_id=run_id
    )


def _logger(
    composed: Composed, *, config: dict[str, Any], run_id: str | None = None, folder: Path | None = None
) -> Logger | None:
    choices = config["choices"]
    told = dict(json.loads(os.environ.get(TAGS, "{}")))
    return build.logger(
        config,
        run_name=told.pop(_RUN_NAME, _plain_name(composed, choices)),
        uri=tracking_uri(composed.root),
        artifact_location=artifact_location(composed.root),
        tags={
            **environment_facts(),
            **{key: str(value) for key, value in choices.items() if value},
            "kind": "training" if composed.verb == "train" else composed.verb,
            **told,
        },
        run_id=run_id,
        save_dir=str(folder) if folder else None,
    )


def _plain_name(composed: Composed, choices: Mapping[str, Any]) -> str:
    """What the run is called in MLflow's list: `triplet with lenet5 on digits_pairs`."""
    model = " with ".join(name for name in (choices["model"], choices.get("network")) if name)
    average = "average of " if composed.verb == "average" else ""
    return f"{average}{model} on {choices['data']}"


def _begin(session: Session, *, composed: Composed, config: dict[str, Any]) -> None:
    # The configuration first: a folder with run.json counts as a run, and a run has one.
    path = record.write_config(session.folder, config)
    typed = "resumed_with" if session.resumed else "overrides"
    record.update_facts(
        session.folder,
        run_id=session.run_id,
        status="RUNNING",
        **{typed: composed.overrides},
        **({"slurm_job": requeue.job()} if requeue.job() else {}),
        **({"started_as": os.environ[STARTED_AS]} if STARTED_AS in os.environ else {}),
    )
    if session.tracker is not None:
        session.tracker.attach(session.folder)
        session.tracker.log_config(config)
        session.keep_file(path)
        session.tracker.send_earlier(composed.root)
