"""Measures two networks on the same images, and says how far chance may have a hand in the difference."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from pipeline.bootstrap import interval
from pipeline.comparing.listed import Listed, read_all
from pipeline.comparing.measures import mode_of
from pipeline.comparing.verdict import VERDICT_FILE, Discordant, Paired, Verdict
from pipeline.compose import Composed
from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.runs import find_run
from pipeline.work.compare_measured import Booleans, OnImages, on_images
from pipeline.work.loading import load_trained


def run(
    *,
    composed: Composed,
    runs: list[str] | None = None,
    task_name: str | None = None,
    sweep_name: str | None = None,
    sort: str | None = None,
    metrics: list[str] | None = None,
    top: int = 20,
    paired: bool | None = None,
    draws: int | None = None,
    output: str | None = None,
    batch_size: int | None = None,
    num_workers: int | None = None,
    data_dir: str | None = None,
    accelerator: str = "auto",
) -> int:
    """Compare two networks on the test images of both.

    Args:
        composed: The whole configuration.
        runs: Whole ids of both, the better one of the table first.
        task_name: Not used here.
        sweep_name: Not used here.
        sort: The measure that counts most, with its stage.
        metrics: The measures that are compared, with their stages.
        top: Not used here.
        paired: Not used here.
        draws: Bootstrap samples behind the intervals; None: a usual number.
        output: The folder of the comparison, where `paired.json` is written.
        batch_size: As trained where None.
        num_workers: As trained where None.
        data_dir: Where the data lies now, if it has moved.
        accelerator: Lightning's name of the device.

    Returns:
        The exit code, 0.
    """
    assert runs and output
    names = [name for name in metrics or [] if name.startswith("test/")]
    found = []
    for number, name in enumerate(runs, 1):
        console.print(f"measuring network {number} of {len(runs)}: run {name[:8]}")
        found.append(
            on_images(
                load_trained(root=composed.root, run=name, checkpoint=None, task=None),
                names=[name.partition("/")[2] for name in names],
                draws=draws,
                batch_size=batch_size,
                num_workers=num_workers,
                data_dir=data_dir,
                accelerator=accelerator,
            )
        )
    first, second = found
    _check_same(first, second, runs=runs)
    listed = read_all([find_run(root=composed.root, name=name, key="runs") for name in runs]).listed
    verdict(first, second, runs=(runs[0], runs[1]), listed=listed).save(Path(output) / VERDICT_FILE)
    return 0


def verdict(first: OnImages, second: OnImages, *, runs: tuple[str, str], listed: Sequence[Listed]) -> Verdict:
    """What two networks come to on the same images.

    Args:
        first: One network.
        second: The other.
        runs: Ids of both.
        listed: Runs of the same task, which know which way a measure is better.
    """
    measures = []
    both = [name for name in first.values if name in second.values]
    for name in sorted({*first.values, *second.values}.difference(both)):
        console.print(f"test/{name} is measured of one of the two only, and left out", style="yellow")
    for name in both:
        values = first.values[name]
        full = f"test/{name}"
        sign = 1.0 if mode_of(full, runs=listed) == "max" else -1.0
        one, other = (interval(each.whole[name], each.values[name]) for each in (first, second))
        gain = interval(sign * (one.value - other.value), sign * (values - second.values[name]))
        measures.append(Paired(name=full, first=one, second=other, gain=gain))
    return Verdict(
        runs=runs,
        images=len(first.index),
        draws=max((len(values) for values in first.values.values()), default=0),
        measures=measures,
        discordant=mcnemar(first.right, second.right) if len(first.right) else None,
    )


def mcnemar(first: Booleans, second: Booleans) -> Discordant:
    """The exact test of images that only one of two classifiers gets right.

    McNemar: Note on the sampling error of the difference between correlated proportions or percentages,
    1947; exact by the binomial distribution.

    Args:
        first: bool (N,), whether the one gets an image right.
        second: bool (N,), whether the other does.
    """
    one, other = int((first & ~second).sum()), int((second & ~first).sum())
    p = float(binomtest(one, one + other, 0.5).pvalue) if one + other else 1.0
    return Discordant(only_first=one, only_second=other, p=p)


def _check_same(first: OnImages, second: OnImages, *, runs: Sequence[str]) -> None:
    """Raises Mistake where two networks were measured on different images."""
    for what, one, other in (
        ("digest of the data", first.digest, second.digest),
        ("their number", len(first.index), len(second.index)),
        ("data.split_seed", first.split_seed, second.split_seed),
    ):
        if one != other:
            raise Mistake(
                f"runs {runs[0][:8]} and {runs[1][:8]} are of different test images ({what}: {one} and "
                f"{other}); compare runs of the same data, or add paired=false"
            )
    assert np.array_equal(first.index, second.index), "the same data in two orders"
