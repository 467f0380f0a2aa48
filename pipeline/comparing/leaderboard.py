"""The rows of a comparison in their order, and what must be said beside them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.comparing.choosing import Chosen, in_words
from pipeline.comparing.differing import FOLD, SEEDS, differing_keys, short_names
from pipeline.comparing.groups import Group, alone, grouped
from pipeline.comparing.listed import KIND, Listed
from pipeline.comparing.measures import in_full, known_names, mode_of, shown_names, watched

_TWO = 2


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """Runs side by side.

    Attributes:
        title: What is compared, in words.
        task: The task of all.
        groups: Rows, the best first; those without the measure last.
        keys: Names of columns by the dotted keys of the configuration in which the rows differ.
        sort: The measure or cost by which they are ordered.
        measures: The measures that are shown.
        modes: Of these, `max` or `min`: which is better.
        notes: What is not in the table, or must be known to read it.
        warnings: Why some rows cannot be compared.
    """

    title: str
    task: str
    groups: Sequence[Group]
    keys: Mapping[str, str]
    sort: str
    measures: Sequence[str]
    modes: Mapping[str, str]
    notes: Sequence[str]
    warnings: Sequence[str]

    def label(self, group: Group) -> str:
        """What tells a row from the others, in a line: `resnet8 lr=0.01`."""
        words = []
        for key, name in self.keys.items():
            value = group.first.values.get(key, "")
            if value not in ("", "null") and not (key == KIND and value == "trained"):
                words.append(value if key == KIND or key.startswith("choices.") else f"{name}={value}")
        return " ".join(words) or group.name

    @property
    def has_repetitions(self) -> bool:
        """Whether a row stands for several runs."""
        return any(len(group.runs) > 1 for group in self.groups)


def leaderboard(chosen: Chosen, *, sort: str | None, metrics: Sequence[str] | None) -> Leaderboard:
    """Group and order runs.

    Args:
        chosen: The runs.
        sort: Name of a measure or cost; None: what a sweep looked for, or else what their training watched.
        metrics: Names of the measures that are shown; None: a few of the task's.

    Raises:
        Mistake: No run has such a measure.
    """
    runs = chosen.runs
    first = in_full(sort, runs=runs, key="sort") if sort else _looked_for(chosen) or watched(runs)
    shown = [in_full(name, runs=runs, key="metrics") for name in metrics] if metrics else []
    measures = list(dict.fromkeys(shown)) or shown_names(runs, first=first)
    grouping = alone(runs) if chosen.named and len(runs) == _TWO else grouped(runs)
    kept = [listed for group in grouping.groups for listed in group.runs]
    repeats = any(len(group.runs) > 1 for group in grouping.groups)
    keys = differing_keys(kept, spread=(*SEEDS, FOLD) if repeats else SEEDS[1:])
    modes = {name: mode_of(name, runs=runs) for name in dict.fromkeys([first, *measures])}
    return Leaderboard(
        title=chosen.title,
        task=chosen.task,
        groups=_ordered(grouping.groups, by=first, mode=modes[first]),
        keys=short_names(keys),
        sort=first,
        measures=measures,
        modes=modes,
        notes=[*_notes(chosen, repeated=grouping.repeated), *_other_losses(first, keys)],
        warnings=other_data(kept),
    )


def _looked_for(chosen: Chosen) -> str:
    """The first objective of a sweep: whose best trial is chosen by test is chosen by luck, too."""
    objectives = chosen.sweep.objectives if chosen.sweep else {}
    known = known_names(chosen.runs)
    return next((name for name in objectives if name in known), "")


def _ordered(groups: Sequence[Group], *, by: str, mode: str) -> list[Group]:
    def place(group: Group) -> float:
        value = group.mean(by)
        return math.inf if math.isnan(value) else -value if mode == "max" else value

    return sorted(groups, key=place)


def _notes(chosen: Chosen, *, repeated: int) -> list[str]:
    notes = []
    if chosen.left_out:
        notes.append(f"not in the table: {in_words(chosen.left_out)}")
    if repeated:
        runs = "1 earlier run" if repeated == 1 else f"{repeated} earlier runs"
        notes.append(f"{runs} with the same configuration and seed as a later one: the later one counts")
    return notes


def _other_losses(sort: str, keys: Sequence[str]) -> list[str]:
    """Said where rows are ordered by a loss that is not the same sum for all."""
    causes = [key for key in keys if key.startswith("task.")]
    if not causes or not sort.endswith("/loss"):
        return []
    return [f"{sort} may be another quantity in each row, since {', '.join(causes)} differs; see the others"]


def other_data(runs: Sequence[Listed]) -> list[str]:
    """Say where runs are measured on different images.

    Args:
        runs: Of one task.

    Returns:
        One sentence, or none.
    """
    reasons = {
        "data": [listed.values.get("choices.data", "") for listed in runs],
        "content (digest)": _known(runs, "digest"),
        "test images": _known(runs, "sizes"),
        "data.split_seed": [listed.values.get("data.split_seed", "") for listed in runs],
    }
    for what, found in reasons.items():
        different = list(dict.fromkeys(found))
        if len(different) > 1:
            names = ", ".join(text[:12] for text in different[:4]) + (", ..." if len(different) > 4 else "")
            return [f"the runs are of different data ({what}: {names}), whose numbers cannot be compared"]
    return []


def _known(runs: Sequence[Listed], key: str) -> list[str]:
    """Of the runs that have kept it: earlier versions did not."""
    facts = [(listed.run.facts.get("data") or {}).get(key) for listed in runs]
    return [str(fact["test"] if isinstance(fact, dict) else fact) for fact in facts if fact]
