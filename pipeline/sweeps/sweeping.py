"""One sweep, from its folder to its last panel."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hydra.errors import HydraException

from pipeline.console import console
from pipeline.crew import Crew, Trained
from pipeline.errors import EXIT_FAILURE, Mistake
from pipeline.record import locked
from pipeline.sweeps.batches import Batches, batch_size
from pipeline.sweeps.checking import JobCheck
from pipeline.sweeps.folder import Sweep, read_sweep
from pipeline.sweeps.jobs import Job, Outcome, Result, Search, Trial
from pipeline.sweeps.launcher import ProcessLauncher
from pipeline.sweeps.opening import Wanted, earlier, new_sweep, open_parent
from pipeline.sweeps.running import Plan, Runner
from pipeline.sweeps.searches import search_of
from pipeline.sweeps.showing import Display, show_first_panel
from pipeline.sweeps.words import kept_for_jobs

if TYPE_CHECKING:
    from pipeline.sweeps.parent import Parent

log = logging.getLogger(__name__)

Ending = Literal["FINISHED", "FAILED", "KILLED"]


class Sweeping:
    """One sweep, from its folder to its last panel.

    Args:
        asked: What is to be done.
        ours: Hydra's launcher where it is ours.
        launcher_in: Makes it where it is another one, which may write into a folder.
        check: Of one job.
    """

    def __init__(
        self,
        asked: Wanted,
        *,
        ours: ProcessLauncher | None,
        launcher_in: Callable[[Path], Any],
        check: JobCheck,
    ) -> None:
        self._asked, self._ours, self._launcher_in, self._check = asked, ours, launcher_in, check

    def run(self) -> int:
        """Run it to its end.

        Returns:
            The exit code: 0 where all is well, 1 where a job has failed, 128 + n where signal n ended it.
        """
        asked = self._asked
        places = self._ours.places(asked.config["trainer"]) if self._ours is not None else []
        before = earlier(asked)
        with ExitStack() as stack:
            if before is not None:
                stack.enter_context(locked(before.folder))
            parent = open_parent(asked, resume_id=before.sweep_id if before is not None else None)
            sweep = before or new_sweep(asked, parent=parent)
            if before is None:
                stack.enter_context(locked(sweep.folder))
            # The run of a sweep that goes on is left as it is until that has begun.
            stack.enter_context(_closed_in_any_case(sweep.folder, parent=parent if before is None else None))
            search, hands = self._begun(sweep, places=places, is_new=before is None)
            stack.enter_context(_closed_in_any_case(sweep.folder, parent=parent))
            if parent is not None:
                parent.attach(sweep.folder)
            return self._run(
                sweep.update(status="RUNNING"),
                search=search,
                parent=parent,
                hands=hands,
                goes_on=before is not None,
            )

    def _begun(self, sweep: Sweep, *, places: list[str], is_new: bool) -> tuple[Search, Crew | Batches]:
        asked = self._asked
        try:
            search = search_of(asked.settings, space=asked.typed.space, sweep=sweep, root=asked.root)
            # More places than jobs would only leave each with fewer threads.
            most = len(places) if search.total is None else max(1, search.total * len(asked.repetitions))
            return search, self._hands(sweep, places=places[:most])
        except (Mistake, HydraException):
            if is_new:  # nothing was started
                shutil.rmtree(sweep.folder)
            raise

    def _run(
        self,
        sweep: Sweep,
        *,
        search: Search,
        parent: "Parent | None",
        hands: Crew | Batches,
        goes_on: bool,
    ) -> int:
        asked = self._asked
        before = {outcome.number for outcome in sweep.outcomes if outcome.status != "KILLED"}
        total = None if search.total is None else search.total * len(asked.repetitions)
        display = Display(sweep=sweep, total=total, is_alone=hands.is_alone)
        show_first_panel(
            sweep,
            searched=sweep.facts.get("space") or {},
            fixed=asked.typed.fixed,
            total=search.total,
            repetitions=len(asked.repetitions),
            at_a_time=hands.at_a_time,
            address=parent.address if parent is not None else "",
            done=len(before),
        )
        runner = Runner(
            sweep=sweep,
            search=search,
            plan=self._plan(goes_on=goes_on),
            hands=hands,
            watcher=_Watcher(display, parent=parent, repeats=len(asked.repetitions) > 1),
        )
        with display.live():
            runner.run()
        return self._end(read_sweep(sweep.folder), runner=runner, parent=parent, signal=hands.signal)

    def _hands(self, sweep: Sweep, *, places: list[str]) -> Crew | Batches:
        asked, jobs = self._asked, sweep.folder / "jobs"
        jobs.mkdir(exist_ok=True)
        if self._ours is not None:
            return Crew(places=places, root=asked.root, folder=jobs)
        launcher = self._launcher_in(sweep.folder)
        learns = asked.settings.method not in ("grid", "random")
        size = batch_size(launcher, typed=asked.settings.max_batch_size, learns=learns)
        return Batches(launcher=launcher, size=size, root=asked.root, folder=sweep.folder, check=self._check)

    def _plan(self, *, goes_on: bool) -> Plan:
        asked = self._asked
        return Plan(
            # To another launcher Hydra itself hands on what they say.
            flags=(*asked.flags, *kept_for_jobs(asked.words)) if self._ours is not None else (),
            goes_on=goes_on,
            fixed=asked.typed.fixed,
            repetitions=asked.repetitions,
            retry_failed=asked.settings.retry_failed,
            root=asked.root,
        )

    def _end(self, sweep: Sweep, *, runner: Runner, parent: "Parent | None", signal: int | None) -> int:
        """Write down how it ended, show it, and say so by the exit code."""
        status = _ending(sweep, runner, signal=signal)
        sweep = sweep.update(status=status)
        self._show(sweep, runner.results, parent=parent, status=status)
        if runner.problem is not None:
            raise runner.problem
        if signal is not None:
            return 128 + signal
        well = all(result.status in ("FINISHED", "PRUNED") for result in runner.results)
        return 0 if well else EXIT_FAILURE

    def _show(self, sweep: Sweep, results: list[Result], *, parent: "Parent | None", status: Ending) -> None:
        from pipeline.sweeps.remains import Remains, write_remains
        from pipeline.sweeps.report import show

        address = parent.address if parent is not None else ""
        remains = None
        with _only_reports(sweep):
            remains = write_remains(sweep, results, root=self._asked.root)
        if parent is not None:
            with console.status("telling MLflow"):
                parent.finish(status, remains=remains)
        with _only_reports(sweep):
            nothing = Remains(axes=[], importance={}, files={})
            show(sweep, results, root=self._asked.root, remains=remains or nothing, address=address)


@contextmanager
def _only_reports(sweep: Sweep) -> Iterator[None]:
    """What only reports costs no sweep its end: its trainings are done."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 # whatever it is, the results are on disk
        log.warning(
            "the report of sweep %s is not whole (%s: %s); make sweep resume=%s writes it again",
            sweep.sweep_id[:8],
            type(error).__name__,
            error,
            sweep.sweep_id[:8],
        )


@contextmanager
def _closed_in_any_case(folder: Path, *, parent: "Parent | None") -> Iterator[None]:
    """After an error nothing must look as if it still ran."""
    try:
        yield
    except BaseException:
        if parent is not None:
            parent.finish("FAILED")  # once more does nothing
        sweep = read_sweep(folder) if folder.is_dir() else None
        if sweep is not None and sweep.facts["status"] == "RUNNING":
            sweep.update(status="KILLED")
        raise


def _ending(sweep: Sweep, runner: Runner, *, signal: int | None) -> Ending:
    is_open = any(outcome.status == "KILLED" for outcome in sweep.outcomes)
    if signal is not None or runner.problem is not None or is_open:
        return "KILLED"
    return "FINISHED" if any(result.status == "FINISHED" for result in runner.results) else "FAILED"


class _Watcher:
    """Tells the terminal and MLflow.

    Args:
        display: The terminal.
        parent: The sweep's run in MLflow; None without.
        repeats: Whether a trial has several jobs, and a run of its own above theirs.
    """

    def __init__(self, display: Display, *, parent: "Parent | None", repeats: bool) -> None:
        self._display, self._parent, self._repeats = display, parent, repeats
        self._done = 0

    def started(self, job: Job) -> None:
        """A job trains."""
        self._display.started(job)

    def ended(self, outcome: Outcome, trained: Trained | None) -> None:
        """A job has ended."""
        self._display.ended(outcome, trained)

    def told(self, result: Result) -> None:
        """All jobs of a trial have ended."""
        self._done += 1
        self._display.told(result)
        if self._parent is not None:
            self._parent.told(result, done=self._done, best=self._display.best)

    def run_of(self, trial: Trial) -> str | None:
        """Id of the run that those of a trial stand below."""
        if self._parent is None:
            return None
        return self._parent.trial_run(trial) if self._repeats else self._parent.run_id
