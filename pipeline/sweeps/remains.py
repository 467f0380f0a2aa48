"""What is left of a sweep on disk: its table, its best trials as experiment files, its figures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from matplotlib.figure import Figure

from pipeline import figures_sweep
from pipeline.figures_parallel import parallel_coordinates
from pipeline.sweeps.best import front, ranked
from pipeline.sweeps.experiment import FOLDER, experiment_text, write_experiment
from pipeline.sweeps.folder import Sweep
from pipeline.sweeps.importance import importances
from pipeline.sweeps.jobs import Result
from pipeline.sweeps.table import MLFLOW_TABLE, TABLE_FILE, rows_of, run_id_of, write_csv, write_json
from pipeline.sweeps.varied import Axis, axes_of, objective_axis
from pipeline.tracking_identity import public_address

FIGURES = "figures"
_FILE = "file://"
BEST = "best"
"""Name of the experiment file of the best trial."""


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What was found out and written.

    Attributes:
        axes: What was varied.
        importance: By objective: keys with their shares of its variance; without objectives of which nothing
            can be said.
        files: What was written, with the folder below the sweep's where each lies.
    """

    axes: list[Axis]
    importance: dict[str, dict[str, float]]
    files: dict[Path, str]


def space_of(sweep: Sweep) -> dict[str, str]:
    """What was searched: keys with Hydra's words for several values; empty where nobody wrote it down."""
    words = sweep.facts.get("space") or []
    pairs = words.items() if isinstance(words, Mapping) else (word.split("=", 1) for word in words)
    return {str(key): str(value) for key, value in pairs}


def write_remains(sweep: Sweep, results: Sequence[Result], *, root: Path) -> Remains:
    """Write everything into the sweep's folder, anew where it was there; also of an interrupted sweep.

    Args:
        sweep: The sweep.
        results: Of the trials that have ended.
        root: The project's root folder, to which paths in comments are relative.

    Returns:
        What there is to say of it.
    """
    ordered = sorted(results, key=lambda result: result.trial.number)
    axes = axes_of(ordered, space=space_of(sweep))
    goals = [objective_axis(ordered, name) for name in sweep.objectives]
    shares = {goal.name: importances(axes, _numbers(goal)) for goal in goals}
    importance = {name: share for name, share in shares.items() if share}
    rows = rows_of(ordered, axes=axes, objectives=sweep.objectives, folder=sweep.folder)
    files = {
        write_csv(sweep.folder / TABLE_FILE, rows): "",
        write_json(sweep.folder / MLFLOW_TABLE, rows, axes=axes): "",
        **dict.fromkeys(_write_experiments(sweep, ordered, root=root), FOLDER),
        **dict.fromkeys(_write_figures(sweep, ordered, axes=axes, goals=goals, shares=importance), FIGURES),
    }
    return Remains(axes=axes, importance=importance, files=files)


def _numbers(goal: Axis) -> list[float | None]:
    return [value if isinstance(value, float | int) else None for value in goal.values]


def _write_experiments(sweep: Sweep, results: Sequence[Result], *, root: Path) -> Iterator[Path]:
    """The best trial by the first objective and, with several, each that no other one beats."""
    several = front(results, sweep.objectives) if len(sweep.objectives) > 1 else []
    named = [(BEST, result) for result in ranked(results, sweep.objectives)[:1]]
    for name, result in [*named, *((f"trial_{one.trial.number}", one) for one in several)]:
        header = _header(sweep, result, name=name, count=len(results), root=root)
        text = experiment_text(
            fixed=sweep.facts["fixed"],
            chosen=result.trial.overrides,
            header=header,
            folders=[place.removeprefix(_FILE) for place in _own_places(sweep)],
        )
        yield write_experiment(sweep.folder / FOLDER / f"{name}.yaml", text)


def _header(sweep: Sweep, result: Result, *, name: str, count: int, root: Path) -> list[str]:
    kind = "The best" if name == BEST else "One that no other beats,"
    goals = ", ".join(f"{goal} {value:.6g}" for goal, value in result.values.items())
    run = run_id_of(result, folder=sweep.folder)
    when = datetime.fromtimestamp(float(sweep.facts["started"]))
    return [
        f"{kind} of {count} trials: {train_command(sweep, root=root, name=name)}",
        f"{goals}; trial {result.trial.number}{f', run {run[:8]}' if run else ''}, "
        f"sweep {sweep.sweep_id[:8]} of {when:%Y-%m-%d}.",
        f"Found by: make sweep {typed(sweep)}",
    ]


def typed(sweep: Sweep) -> str:
    """The words of the sweep as they may be shown: without a password in an address."""
    return " ".join(public_address(str(word)) for word in sweep.facts["words"])


def train_command(sweep: Sweep, *, root: Path, name: str = BEST) -> str:
    """How a person trains with an experiment file of the sweep."""
    folder = sweep.folder.resolve()
    shown = folder.relative_to(root.resolve()) if folder.is_relative_to(root.resolve()) else folder
    own = ",".join(_own_places(sweep))
    # Hydra takes one such folder only; further ones are searched in too.
    further = f" hydra.searchpath=[{own}]" if own else ""
    return f'make train ARGS="--config-dir {shown}" experiment={name}{further}'


def _own_places(sweep: Sweep) -> list[str]:
    """Where a person has files of configuration: `--config-dir` first, then hydra.searchpath."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    flags = list(sweep.facts.get("flags") or [])
    given = [f"{_FILE}{flags[flags.index('--config-dir') + 1]}"] if "--config-dir" in flags else []
    words = [str(word) for word in sweep.facts["words"] if str(word).startswith("hydra.searchpath=")]
    typed_places = OverridesParser.create().parse_override(words[-1]).value() if words else []
    further = typed_places if isinstance(typed_places, list) else []
    return [*given, *(str(getattr(place, "text", place)) for place in further)]


def _write_figures(
    sweep: Sweep,
    results: Sequence[Result],
    *,
    axes: Sequence[Axis],
    goals: Sequence[Axis],
    shares: Mapping[str, Mapping[str, float]],
) -> Iterator[Path]:
    if not any(result.values for result in results):
        return
    (sweep.folder / FIGURES).mkdir(exist_ok=True)
    for name, figure in _figures(sweep, results, axes=axes, goals=goals, shares=shares):
        path = sweep.folder / FIGURES / f"{name}.png"
        figure.savefig(path)
        yield path


def _figures(
    sweep: Sweep,
    results: Sequence[Result],
    *,
    axes: Sequence[Axis],
    goals: Sequence[Axis],
    shares: Mapping[str, Mapping[str, float]],
) -> Iterator[tuple[str, Figure]]:
    numbers, modes = [result.trial.number for result in results], sweep.objectives
    deviations = {name: [result.deviations.get(name, 0.0) for result in results] for name in modes}
    if axes:
        yield (
            "parallel_coordinates",
            parallel_coordinates(axes, goals, mode=modes[goals[0].name]),
        )
    yield "progress", figures_sweep.progress(numbers, goals, deviations=deviations, modes=modes)
    if shares:
        yield "importance", figures_sweep.importance_bars(shares)
    if len(goals) == 2:
        on_front = [result.trial.number for result in front(results, modes)]
        yield "pareto_front", figures_sweep.pareto_front(numbers, goals, front=on_front, modes=modes)
