"""Where a sweep lies: `outputs/sweeps/<time>_<id>/`, its facts, and a line for each job that has ended."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Mistake
from pipeline.runs import outputs
from pipeline.sweeps.jobs import Outcome

SWEEPS = "sweeps"
FACTS_FILE = "sweep.json"
JOBS_FILE = "jobs.jsonl"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One sweep on disk.

    Attributes:
        folder: `outputs/sweeps/<time>_<id>/`.
        facts: What `sweep.json` says: `sweep_id` (the id of its MLflow run), `started` (seconds since 1970),
            `status`, `words` (what was typed), `fixed` (what every job is told), `task`, `objectives`
            ({measure: max or min}), `method`, `space` (keys with the words for their values), `grid`
            (of a grid, the values of each key in their order), and `study` and `storage` where Optuna
            remembers it.
    """

    folder: Path
    facts: dict[str, Any]

    @property
    def sweep_id(self) -> str:
        """The id of its run in MLflow."""
        return str(self.facts["sweep_id"])

    @property
    def objectives(self) -> dict[str, str]:
        """What it looks for: names of measures with max or min; the first one counts most."""
        return dict(self.facts["objectives"])

    @property
    def outcomes(self) -> list[Outcome]:
        """Its jobs that have ended, in the order of their numbers; the last word on each."""
        path = self.folder / JOBS_FILE
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        # A process that was killed while it wrote has left the beginning of a line.
        rows = [json.loads(line) for line in lines if line.endswith("}")]
        last = {row["number"]: Outcome(**{**row, "overrides": tuple(row["overrides"])}) for row in rows}
        return [last[number] for number in sorted(last)]

    def add(self, outcome: Outcome) -> None:
        """Write down what became of a job."""
        path = self.folder / JOBS_FILE
        is_torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * is_torn + json.dumps(asdict(outcome)) + "\n")

    def update(self, **facts: Any) -> "Sweep":
        """Write facts into `sweep.json`; a crash leaves either the old file or the new one.

        Returns:
            The sweep with them.
        """
        path = self.folder / FACTS_FILE
        draft = path.with_suffix(".draft")
        # The file may know more by now than whoever has read it earlier.
        written = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        every = {**self.facts, **written, **facts}
        draft.write_text(json.dumps(every, indent=1), encoding="utf-8")
        draft.replace(path)
        return Sweep(folder=self.folder, facts=every)


def all_sweeps(root: Path) -> list[Sweep]:
    """Every sweep on this machine, the oldest first.

    Args:
        root: The project's root folder.
    """
    files = (outputs(root) / SWEEPS).glob(f"*/{FACTS_FILE}")
    return sorted(
        (read_sweep(path.parent) for path in files), key=lambda sweep: float(sweep.facts["started"])
    )


def read_sweep(folder: Path) -> Sweep:
    """The sweep in a folder, with the facts of its `sweep.json`."""
    return Sweep(folder=folder, facts=json.loads((folder / FACTS_FILE).read_text(encoding="utf-8")))


def find_sweep(*, root: Path, name: str, key: str = "sweep", other_than: str = "") -> Sweep:
    """The sweep that a person means.

    Args:
        root: The project's root folder.
        name: `latest`, an id, or the beginning of one that no other sweep shares.
        key: What the person typed it as, for messages.
        other_than: Id of a sweep that cannot be meant, since it asks.

    Raises:
        Mistake: No sweep, or more than one, is meant.
    """
    sweeps = [sweep for sweep in all_sweeps(root) if sweep.sweep_id != other_than]
    if not sweeps:
        where = outputs(root) / SWEEPS
        raise Mistake(f"{key}={name}: there is no sweep in {where} yet; `make sweep model=a,b` makes one")
    found = [sweep for sweep in sweeps if sweep.sweep_id.startswith(name)]
    if name == "latest" or len(found) == 1:
        return sweeps[-1] if name == "latest" else found[0]
    shown = ", ".join(sweep.sweep_id[:8] for sweep in reversed((found or sweeps)[-5:]))
    if found:
        raise Mistake(
            f"{key}={name} is the beginning of {len(found)} sweeps: {shown}; give more of its letters"
        )
    raise Mistake(f"{key}={name}: no sweep has this id; the latest are {shown}, or {key}=latest")
