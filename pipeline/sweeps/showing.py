"""What a person sees of a sweep while it runs: what is searched, and how it comes along."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.box import ROUNDED
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.rule import Rule
from rich.text import Text

from pipeline.console import console
from pipeline.crew import Trained
from pipeline.panels import label_rows, shown_address, shown_path, shown_time
from pipeline.sweeps.best import ranked
from pipeline.sweeps.folder import Sweep
from pipeline.sweeps.jobs import Job, Outcome, Result
from pipeline.sweeps.words import differing, shown

_COLOURS = {"FINISHED": "green", "PRUNED": "cyan", "FAILED": "bold yellow", "KILLED": "yellow"}
_HOW = {
    "FINISHED": "has finished",
    "PRUNED": "was pruned",
    "FAILED": "has failed",
    "KILLED": "was interrupted",
}


def show_first_panel(
    sweep: Sweep,
    *,
    searched: Mapping[str, str],
    fixed: Sequence[str],
    total: int | None,
    repetitions: int,
    at_a_time: str,
    address: str,
    done: int,
) -> None:
    """Print what is searched, how, how often, how many at a time, where it lies, what is looked for.

    Args:
        sweep: On disk.
        searched: Keys with Hydra's words for several values.
        fixed: Words of every job.
        total: Number of trials; None where nobody knows.
        repetitions: Trainings of each trial.
        at_a_time: How many train at the same time, in words.
        address: MLflow's; empty without.
        done: Jobs that earlier processes have done.
    """
    repeat = sweep.facts.get("repeat") or {}
    per_trial = f" x {repetitions} ({', '.join(repeat)})" if repetitions > 1 else ""
    rows = {
        "searched": "\n".join(shown(f"{key}={words}") for key, words in searched.items()),
        "all share": " ".join(map(shown, fixed)),
        "how": _how(sweep),
        "looked for": ", ".join(f"{name} ({mode})" for name, mode in sweep.objectives.items()),
        "trials": f"{total if total is not None else 'nobody knows how many'}{per_trial}",
        "at a time": at_a_time,
        "goes on": f"{done} jobs are done" if done else "",
        "folder": shown_path(sweep.folder),
        "MLflow": f"{shown_address(address)} · run {sweep.sweep_id[:8]}" if address else "",
    }
    title = f"[bold]sweep {sweep.sweep_id[:8]} of {sweep.facts['task']}[/]"
    console.print(Panel(label_rows(rows), title=title, title_align="left", box=ROUNDED, border_style="cyan"))


def _how(sweep: Sweep) -> str:
    facts = sweep.facts
    parts = [
        str(facts["method"]),
        f"pruned by {facts['prune']}" if facts.get("prune") not in (None, "none") else "",
        f"study {facts['study'][:40]} in {facts['storage']}" if facts.get("study") else "",
        f"around the best of sweep {facts['start_from'][:8]}" if facts.get("start_from") else "",
    ]
    return " · ".join(part for part in parts if part)


class Display:
    """Lines and, where several train at the same time, a bar.

    Args:
        sweep: On disk.
        total: Number of jobs; None where nobody knows.
        is_alone: Whether a job has the terminal to itself.
    """

    def __init__(self, *, sweep: Sweep, total: int | None, is_alone: bool) -> None:
        self._sweep, self._total, self._is_alone = sweep, total, is_alone
        self._running: dict[int, Job] = {}
        self._done = self._failed = 0
        self._results: list[Result] = []
        self._bar = Progress(
            TextColumn("[bold]sweep[/]"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
        )
        self._task = self._bar.add_task("", total=total)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Draw the bar meanwhile; not where a job has the terminal, or where there is none."""
        if self._is_alone or not console.is_terminal:
            yield
            return
        with Live(self._bar, console=console, refresh_per_second=2, transient=True):
            yield

    def started(self, job: Job) -> None:
        """Say that a job trains."""
        self._running[job.number] = job
        name = self._name(job.number)
        if self._is_alone:
            console.print(
                # As text: a list in the words is no markup.
                Rule(Text(f"{name}: {differing(job.overrides, longest=200)}"), align="left", style="cyan")
            )
        elif not console.is_terminal:
            console.print(
                f"{name} trains: {differing(job.overrides, longest=200)}", soft_wrap=True, markup=False
            )
        self._draw()

    def ended(self, outcome: Outcome, trained: Trained | None) -> None:
        """Say what became of a job, with its last words where it has failed in a file."""
        self._running.pop(outcome.number, None)
        self._done += 1
        self._failed += outcome.status == "FAILED"
        if trained is not None:
            self._say(outcome, trained)
        self._draw()

    def _say(self, outcome: Outcome, trained: Trained) -> None:
        run = f": run {outcome.run_id[:8]}" if outcome.run_id else ""
        code = f" with exit code {outcome.code}" if outcome.status == "FAILED" else ""
        line = (
            f"{self._name(outcome.number)} {_HOW[outcome.status]}{code} after {shown_time(trained.seconds)}"
        )
        console.print(
            f"{line}{run} ({differing(outcome.overrides, longest=200)}){self._measured(outcome)}",
            style=_COLOURS[outcome.status],
            soft_wrap=True,
            markup=False,
        )
        for words in trained.last_lines if outcome.status == "FAILED" else ():
            console.print(f"  {words}", markup=False, soft_wrap=True)

    def _measured(self, outcome: Outcome) -> str:
        numbers = {
            name: outcome.measures[name] for name in self._sweep.objectives if name in outcome.measures
        }
        return "".join(f" · {name} {value:.4f}" for name, value in numbers.items())

    def told(self, result: Result) -> None:
        """Keep the best so far."""
        self._results.append(result)
        self._draw()
        if result.status == "FAILED" and all(outcome.status == "FINISHED" for outcome in result.outcomes):
            console.print(
                f"trial {result.trial.number}: {result.message}",
                style="bold yellow",
                soft_wrap=True,
                markup=False,
            )

    @property
    def best(self) -> Result | None:
        """The best trial so far."""
        return next(iter(ranked(self._results, self._sweep.objectives)), None)

    def _name(self, number: int) -> str:
        return f"job {number + 1} of {self._total}" if self._total else f"job {number + 1}"

    def _draw(self) -> None:
        best = self.best
        name = next(iter(self._sweep.objectives))
        record = f" · best {name} {best.values[name]:.4f} (trial {best.trial.number})" if best else ""
        failed = f" · {self._failed} failed" if self._failed else ""
        said = f"{len(self._running)} running{failed}{record}"
        self._bar.update(self._task, completed=self._done, description=said)
