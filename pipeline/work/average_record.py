"""Makes an average a run of its own: folder, checkpoint, MLflow run, links to its parents."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pipeline import checkpoints, record
from pipeline.compose import Composed
from pipeline.session import Session, opened
from pipeline.work.average_judge import Judge, Measures
from pipeline.work.average_report import Sides
from pipeline.work.keeping import keep_network
from pipeline.work.loading import Trained
from pipeline.work.report import record_size

# Of a checkpoint what measuring needs; there is nothing to go on training with.
_NEEDED = ("epoch", "global_step", "pytorch-lightning_version")


def keep(composed: Composed, *, trained: Trained, judge: Judge, sides: Sides) -> tuple[Session, Measures]:
    """Write what the network holds into a new run, and measure it on test.

    Args:
        composed: The verb's configuration.
        trained: The network, with the average in it.
        judge: Measures it.
        sides: What is known of it so far.

    Returns:
        The closed run, and its measures on test.
    """
    new = replace(composed, settings={**composed.settings, "resume": None})
    state = judge.state()
    with opened(new, config=trained.config) as session:
        made_of = {
            "which": sides.which,
            "parents": list(sides.parents),
            "checkpoints": [path.name for path in sides.sources],
        }
        path = _save(session, trained=trained, state=state, made_of=made_of)
        record.update_facts(session.folder, checkpoint=str(path.relative_to(session.folder)), average=made_of)
        session.keep_input(judge.datamodule.summary())
        record_size(session, trained.task)
        test = judge.test(folder=session.folder)
        compared = {f"parent/{name}": value for name, value in sides.before.items()}
        measures = {**compared, **sides.after, **test}
        session.keep_file(record.write_metrics(session.folder, measures))
        keep_network(session, path)
        _tell(session, measures=measures, made_of=made_of)
    return session, test


def _save(session: Session, *, trained: Trained, state: dict[str, Any], made_of: dict[str, Any]) -> Path:
    parent = checkpoints.read(trained.path)
    pipeline = {**parent["pipeline"], "run_id": session.run_id, "average": made_of}
    path = session.folder / "checkpoints" / "average.ckpt"
    path.parent.mkdir()
    kept = {name: parent[name] for name in _NEEDED if name in parent}
    torch.save({**kept, "state_dict": state, "pipeline": pipeline}, path)
    return path


def _tell(session: Session, *, measures: Measures, made_of: dict[str, Any]) -> None:
    if session.logger is not None:
        session.logger.log_metrics(measures)
    if session.tracker is not None:
        parents = made_of["parents"]
        # MLflow's page shows a run below its parent, of which it knows one only.
        session.tracker.log_tags(
            {
                "average": made_of["which"],
                "parents": " ".join(parents),
                "mlflow.parentRunId": parents[0],
            }
        )
