"""A job of SLURM that is put into the queue again before its time is over goes on in the same run."""

import os
import signal
import subprocess
from dataclasses import replace

from pipeline.compose import Composed
from pipeline.errors import tell
from pipeline.runs import STARTED_AS, Run, all_runs

REQUEUE = signal.SIGUSR1
"""What SLURM is told to send before the time is over: `#SBATCH --signal=USR1@180`."""

EXIT_REQUEUE = 128 + REQUEUE


def job() -> str | None:
    """The job's name as `scontrol requeue` takes it, an element of an array as such; None outside SLURM."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID', '')}"
    return os.environ.get("SLURM_JOB_ID")


def earlier_attempt(composed: Composed) -> Run | None:
    """The run that the same command of the same job began before the job was put into the queue again.

    Args:
        composed: What the command line composed.

    Returns:
        The latest of them; None outside a requeued job, and where `resume=` names a run.
    """
    if int(os.environ.get("SLURM_RESTART_COUNT") or 0) == 0 or composed.settings["resume"]:
        return None
    runs = [run for run in all_runs(root=composed.root) if _is_of(run, composed)]
    return runs[-1] if runs else None


def _is_of(run: Run, composed: Composed) -> bool:
    return run.facts.get("slurm_job") == job() and run.facts.get("overrides") == composed.overrides


def going_on(composed: Composed, run: Run) -> Composed:
    """The command as if only `resume=` had been typed: the run knows the other words.

    Args:
        composed: What the command line composed.
        run: From `earlier_attempt`.
    """
    return replace(composed, settings={**composed.settings, "resume": run.run_id}, overrides=[])


def put_back() -> None:
    """Put this job into the queue again; what it has done so far is saved by then.

    A training that another command has started leaves that to the command, which puts it back once.
    """
    name = job()
    if name is None or STARTED_AS in os.environ:
        return
    try:
        done = subprocess.run(
            ["scontrol", "requeue", name], capture_output=True, text=True, timeout=60, check=False
        )
        problem = done.stderr.strip() if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem:
        tell(f"scontrol requeue {name}: {problem}; submit the job again with resume=<id of the run>")
