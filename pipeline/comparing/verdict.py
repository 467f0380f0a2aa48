"""Whether one of two networks is better, or only luckier: what was found, and how to say it."""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.bootstrap import CONFIDENCE, Interval
from pipeline.comparing.measures import is_share

VERDICT_FILE = "paired.json"
"""What is found, in the folder of the comparison."""

ALPHA = 1 - CONFIDENCE


@dataclass(frozen=True, kw_only=True)
class Paired:
    """One measure of two networks on the same images.

    Attributes:
        name: With its stage, such as `test/top1`.
        first: Of the first network. Intervals are percentiles of bootstrap samples, nan where there are none.
        second: Of the second one.
        gain: By how much the first one is better; below 0 it is worse. Of the paired samples.
    """

    name: str
    first: Interval
    second: Interval
    gain: Interval


@dataclass(frozen=True, kw_only=True)
class Discordant:
    """McNemar's exact test: images that only one of two classifiers gets right.

    Attributes:
        only_first: Number of those that only the first one gets right.
        only_second: And only the second one.
        p: Two-sided probability of a split at least as uneven, where both were equally good.
    """

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Two networks on the same images.

    Attributes:
        runs: Ids of both, the better one of the table first.
        images: N.
        draws: Bootstrap samples behind the intervals; 0 where there are none.
        measures: One for each that was compared.
        discordant: Of classifiers; None of other tasks.
    """

    runs: tuple[str, str]
    images: int
    draws: int
    measures: Sequence[Paired]
    discordant: Discordant | None

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def load_verdict(path: Path) -> Verdict:
    """Read what `Verdict.save` wrote."""
    found = json.loads(path.read_text(encoding="utf-8"))
    measures = [_paired(one) for one in found["measures"]]
    discordant = Discordant(**found["discordant"]) if found["discordant"] else None
    return Verdict(**{**found, "runs": tuple(found["runs"]), "measures": measures, "discordant": discordant})


def _paired(found: dict[str, Any]) -> Paired:
    ends = {key: Interval(**found[key]) for key in ("first", "second", "gain")}
    return Paired(name=found["name"], **ends)


@dataclass(frozen=True, kw_only=True)
class BetweenSeeds:
    """Welch's test of two groups of trainings that differ in chance only.

    Attributes:
        name: Of the measure.
        gain: By how much the first group's mean is better, with the interval of Welch's t.
        p: Two-sided.
        counts: Trainings in both.
    """

    name: str
    gain: Interval
    p: float
    counts: tuple[int, int]


def between_seeds(
    first: Sequence[float], second: Sequence[float], *, name: str, mode: str
) -> BetweenSeeds | None:
    """Compare the means of two groups whose deviations may differ.

    Welch: The generalization of Student's problem when several different population variances are
    involved, 1947.

    Args:
        first: The measure of each training of one group.
        second: And of the other.
        name: Of the measure.
        mode: Whether `max` or `min` of it is better.

    Returns:
        None with fewer than two trainings in a group, or where those of each came to the same: without any
        spread nothing is known of chance.
    """
    if min(len(first), len(second)) < 2 or len({*first}) == len({*second}) == 1:
        return None
    from scipy import stats

    sign = 1.0 if mode == "max" else -1.0
    samples = [[sign * value for value in values] for values in (first, second)]
    with warnings.catch_warnings():
        # All trainings of one group may well have come to the same.
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        found = stats.ttest_ind(*samples, equal_var=False)
    reach = found.confidence_interval(CONFIDENCE)
    middle = sign * (sum(first) / len(first) - sum(second) / len(second))
    gain = Interval(value=middle, low=float(reach.low), high=float(reach.high))
    return BetweenSeeds(name=name, gain=gain, p=float(found.pvalue), counts=(len(first), len(second)))


def paired_words(verdict: Verdict, *, labels: Mapping[str, str], task: str) -> list[str]:
    """What was found on the same images, a sentence for each measure.

    Args:
        verdict: What was found.
        labels: A short name of each run.
        task: Of both.
    """
    names = [labels[run] for run in verdict.runs]
    lines = [_sentence(one, names=names, task=task) for one in verdict.measures]
    found = verdict.discordant
    if found is not None:
        lines.append(
            f"McNemar p = {shown_p(found.p)}: of {verdict.images:,} images only {names[0]} gets "
            f"{found.only_first} right, only {names[1]} {found.only_second}{_judged(found.p)}"
        )
    return lines


def seeds_words(found: BetweenSeeds, *, names: Sequence[str], task: str) -> str:
    """What was found between two groups of trainings, as a sentence."""
    counts = f"{found.counts[0]} and {found.counts[1]} trainings"
    between = _between(found.gain, name=found.name, task=task)
    text = _better(found.gain.value, names=names, name=found.name, task=task)
    return f"{text} in the mean of {counts}{between}; Welch p = {shown_p(found.p)}{_judged(found.p)}"


def shown_p(p: float) -> str:
    """Two figures, and no number below a ten thousandth."""
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def _sentence(one: Paired, *, names: Sequence[str], task: str) -> str:
    text = _better(one.gain.value, names=names, name=one.name, task=task)
    values = " against ".join(f"{value:.4f}" for value in _in_order(one))
    low, high = one.gain.low, one.gain.high
    may_be_chance = " (may be chance)" if one.gain.value and low <= 0 <= high else ""
    return f"{text} ({values}){_between(one.gain, name=one.name, task=task)}{may_be_chance}"


def _in_order(one: Paired) -> tuple[float, float]:
    first, second = one.first.value, one.second.value
    return (first, second) if one.gain.value >= 0 else (second, first)


def _better(gain: float, *, names: Sequence[str], name: str, task: str) -> str:
    if gain == 0:
        return f"{name}: {names[0]} and {names[1]} are equal"
    better, worse = names if gain > 0 else reversed(names)
    return f"{name}: {better} is better than {worse} by {_amount(abs(gain), name=name, task=task)}"


def _amount(gain: float, *, name: str, task: str) -> str:
    return f"{100 * gain:.{_places(gain)}f} points" if is_share(name, task=task) else f"{gain:.4g}"


def _between(gain: Interval, *, name: str, task: str) -> str:
    """The interval, seen from the better one."""
    if not math.isfinite(gain.low):
        return ", no interval"
    ends = (gain.low, gain.high) if gain.value >= 0 else (-gain.high, -gain.low)
    times, places = (100, _places(gain.value)) if is_share(name, task=task) else (1, 4)
    low, high = (f"{times * end:.{places}f}" for end in ends)
    return f", {CONFIDENCE:.0%} interval {low} to {high}"


def _places(gain: float) -> int:
    """Decimals of percentage points: more for less than one."""
    return 1 if abs(gain) >= 0.01 else 2


def _judged(p: float) -> str:
    return "" if p < ALPHA else " (may be chance)"
