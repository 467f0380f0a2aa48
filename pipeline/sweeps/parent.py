"""A sweep in MLflow: a run of its own, under which its trials stand as children."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pipeline.environment import host_facts
from pipeline.sweeps.folder import Sweep, read_sweep
from pipeline.sweeps.jobs import Outcome, Result, Status, Trial
from pipeline.sweeps.remains import Remains, space_of, typed
from pipeline.sweeps.table import MLFLOW_TABLE, trial_folder
from pipeline.sweeps.varied import brief, short_keys
from pipeline.tracking_family import PARENT_TAG
from pipeline.tracking_identity import load_identity, public_address
from pipeline.tracking_run import TrackedRun
from pipeline.tracking_store import artifact_location, tracking_uri

LONGEST_NAME = 80

_SAID = ("method", "n_trials", "objectives", "repeat", "prune", "seed", "study")
_COUNTED: tuple[Status, ...] = ("FINISHED", "FAILED", "PRUNED")


class Parent:
    """The run of a sweep.

    Call `open`, then `attach` once the sweep's folder is there, `told` after each trial, and `finish` at the
    very end, also of an interrupted sweep.

    Args:
        run: In MLflow.
        root: The project's root folder.
        task: Name of the task, which is the name of the experiment.
    """

    def __init__(self, *, run: TrackedRun, root: Path, task: str) -> None:
        self._run, self._root, self._task = run, root, task
        self._folder: Path | None = None
        self._trials: dict[int, TrackedRun] = {}
        self._ended: dict[int, Status] = {}

    @classmethod
    def open(
        cls,
        *,
        root: Path,
        words: Sequence[str],
        task: str,
        method: str,
        name: str,
        resume_id: str | None = None,
    ) -> "Parent":
        """Open a new run, or that of a sweep that goes on.

        Args:
            root: The project's root folder.
            words: What was typed.
            task: Name of the task, as that of its runs.
            method: How it searches.
            name: What is searched, such as ``optimizer.lr, model``.
            resume_id: Id of the sweep that goes on.
        """
        command = " ".join(public_address(word) for word in words)
        tags = {
            "kind": "sweep",
            "method": method,
            "mlflow.note.content": f"`make sweep {command}`",
            **({"sweep": resume_id[:8]} if resume_id else {}),
        }
        short = ", ".join(short_keys(name.split(", ")).values())
        name = f"sweep: {short}"[:LONGEST_NAME]
        run = _tracked(root=root, task=task, name=name, tags=tags, run_id=resume_id)
        return cls(run=run, root=root, task=task)

    @property
    def run_id(self) -> str:
        """Its id, by which the sweep is known; one of our own where the server was away."""
        return self._run.run_id

    @property
    def address(self) -> str:
        """Where it is remembered, for people to read."""
        return self._run.address

    def attach(self, folder: Path) -> None:
        """Start sending; what the server does not take waits in the folder.

        Args:
            folder: The sweep's, with its facts in it.
        """
        self._folder = folder
        self._run.attach(folder)
        sweep = read_sweep(folder)
        self._ended = _statuses(sweep.outcomes)
        self._run.log_tags({"sweep": sweep.sweep_id[:8]})
        self._run.log_config(_parameters(sweep))

    def trial_run(self, trial: Trial) -> str:
        """Id of the run of a trial that trains more than once: the parent of its trainings.

        Args:
            trial: A new one, or one that goes on.
        """
        assert self._folder is not None
        if trial.number not in self._trials:
            self._trials[trial.number] = self._open_trial(trial, trial_folder(self._folder, trial.number))
        return self._trials[trial.number].run_id

    def _open_trial(self, trial: Trial, folder: Path) -> TrackedRun:
        folder.mkdir(parents=True, exist_ok=True)
        before = load_identity(folder)
        tags = {
            "kind": "trial",
            "sweep": self.run_id[:8],
            "trial": str(trial.number),
            PARENT_TAG: self.run_id,
        }
        name = brief(trial.overrides, longest=LONGEST_NAME)
        run_id = before.run_id if before else None
        run = _tracked(root=self._root, task=self._task, name=name, tags=tags, run_id=run_id)
        run.attach(folder)
        return run

    def told(self, result: Result, *, done: int, best: Result | None) -> None:
        """Tell of a trial that has ended, and how far the sweep is.

        Args:
            result: Of the trial.
            done: How many trials have ended, this one included; the step of the parent's metrics, since
                trials do not end in the order of their numbers.
            best: The best so far by the first objective; None where none has finished.
        """
        if result.status != "KILLED":  # that one goes on later, as the same step
            self._ended[result.trial.number] = result.status
            record = {f"best/{name}": value for name, value in (best.values if best else {}).items()}
            self._run.log_metrics({**self._counts(), **record}, step=done)
        run = self._trials.pop(result.trial.number, None)
        if run is not None:
            _tell_trial(run, result)

    def _counts(self) -> dict[str, float]:
        endings = list(self._ended.values())
        return {f"trials/{status.lower()}": float(endings.count(status)) for status in _COUNTED}

    def finish(
        self, status: Literal["FINISHED", "FAILED", "KILLED"], *, remains: Remains | None = None
    ) -> None:
        """Log what is left of the sweep, and set the status.

        Args:
            status: How the sweep ended.
            remains: What was written of it; None where nothing was.
        """
        for run in self._trials.values():
            run.finish("KILLED")
        if remains is not None:
            self._log(remains)
        self._run.finish(status)

    def _log(self, remains: Remains) -> None:
        for path, folder in remains.files.items():
            self._run.log_file(path, folder)
        # By this tag MLflow's pages know a table from any other file.
        self._run.log_tags({"mlflow.loggedArtifacts": f'[{{"path": "{MLFLOW_TABLE}", "type": "table"}}]'})
        shares = {
            f"importance/{name}/{key}": share
            for name, of_one in remains.importance.items()
            for key, share in of_one.items()
        }
        self._run.log_metrics(shares, step=len(self._ended))


def _tracked(*, root: Path, task: str, name: str, tags: Mapping[str, str], run_id: str | None) -> TrackedRun:
    return TrackedRun(
        experiment=task,
        run_name=name,
        uri=tracking_uri(root),
        artifact_location=artifact_location(root),
        tags={**host_facts(), "task": task, **tags},
        run_id=run_id,
        system_interval=None,  # its trainings have theirs
    )


def _statuses(outcomes: Sequence[Outcome]) -> dict[int, Status]:
    """How each trial ended: as that of its jobs which went worst."""
    worst: dict[int, Status] = {}
    for outcome in outcomes:
        before = worst.get(outcome.trial, "FINISHED")
        worst[outcome.trial] = outcome.status if before == "FINISHED" else before
    return {trial: status for trial, status in worst.items() if status != "KILLED"}


def _parameters(sweep: Sweep) -> dict[str, Any]:
    """What MLflow's pages compare sweeps by."""
    said = {key: sweep.facts[key] for key in _SAID if sweep.facts.get(key) not in (None, {}, "none")}
    storage = sweep.facts.get("storage")
    return {
        "words": typed(sweep),
        **said,
        "space": space_of(sweep),
        **({"storage": public_address(str(storage))} if storage else {}),
    }


def _tell_trial(run: TrackedRun, result: Result) -> None:
    """The mean over a trial's trainings under the name that each of them has it by, and its deviation."""
    deviations = {f"{name}_std": value for name, value in result.deviations.items()}
    run.log_metrics({**result.values, **deviations})
    if result.status == "PRUNED":
        run.log_tags({"pruned": "true"})
    run.finish("FINISHED" if result.status == "PRUNED" else result.status)
