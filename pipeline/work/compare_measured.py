"""One network on the test images: its measures, of the images as they are and of bootstrap samples of them.

What is found is kept in the run's folder, so that the next comparison with the run need not measure it again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from pipeline.bootstrap import Floats, Measure, Places, resampled, samples
from pipeline.console import console
from pipeline.work.ensemble_gain import DRAWS, DRAWS_OF_AVERAGE_PRECISION
from pipeline.work.loading import Trained, check_classes, data_of
from pipeline.work.measuring import measuring_trainer, settings_here

Booleans = NDArray[np.bool_]

CACHE = "comparisons/test.npz"
"""In the run's folder: what was measured for comparisons."""

_SEED = 0  # the same samples for every network, so that differences are paired


@dataclass(frozen=True, kw_only=True)
class OnImages:
    """A network on N test images.

    Attributes:
        digest: Of the data.
        split_seed: By which they were cut; None where nothing was.
        index: Positions (N,) in the split.
        right: bool (N,), whether each was classified right; empty of other tasks.
        whole: Measures of all images, without the stage.
        values: Of each measure, its values (S,) of bootstrap samples; empty where there are none.
    """

    digest: str
    split_seed: int | None
    index: Places
    right: Booleans
    whole: Mapping[str, float]
    values: Mapping[str, Floats]


def on_images(
    trained: Trained,
    *,
    names: Sequence[str],
    draws: int | None,
    batch_size: int | None,
    num_workers: int | None,
    data_dir: str | None,
    accelerator: str,
) -> OnImages:
    """Measure a run's kept weights on its test images, or read what an earlier comparison has kept.

    Args:
        trained: The network of a run.
        names: Measures, without the stage; those that are not made of images are left out.
        draws: Bootstrap samples; None: a usual number, and fewer of average precisions, which are slow.
        batch_size: As trained where None.
        num_workers: As trained where None.
        data_dir: Where the data lies now, if it has moved.
        accelerator: Lightning's name of the device.
    """
    with console.status("reading the data"):
        datamodule: Any = data_of(trained, batch_size=batch_size, num_workers=num_workers, data_dir=data_dir)
        datamodule.prepare_data()
        datamodule.setup()
    check_classes(trained, datamodule)
    digest = str(datamodule.summary()["digest"])
    key = {"digest": digest, "checkpoint": _stamp(trained.path), "draws": draws, "names": list(names)}
    cache = trained.folder / CACHE
    found = _cached(cache, key=key)
    if found is None:
        found = _measured(trained, datamodule, names=names, draws=draws, accelerator=accelerator)
        _keep(found, cache, key=key)
    return OnImages(digest=digest, split_seed=trained.config["data"].get("split_seed"), **found)


def _stamp(path: Path) -> list[Any]:
    found = path.stat()
    return [path.name, found.st_size, found.st_mtime_ns]


def _measured(
    trained: Trained, datamodule: Any, *, names: Sequence[str], draws: int | None, accelerator: str
) -> dict[str, Any]:
    records = _records(trained, datamodule, accelerator=accelerator)
    known = [name for name in names if name in records.names]
    whole = {name: float(records.measure(np.arange(len(records)), name)) for name in known}
    values = {name: _values(records, name, draws=draws) for name in known}
    right = getattr(records, "right", np.zeros(0, dtype=np.bool_))
    return {"index": np.asarray(records.index), "right": right, "whole": whole, "values": values}


def _records(trained: Trained, datamodule: Any, *, accelerator: str) -> Any:
    task: Any = trained.task
    settings = settings_here(trained.config, accelerator=accelerator)
    trainer = measuring_trainer(
        trained.config, folder=trained.folder, settings=settings, watching=("progress",)
    )
    task.keeps_records = True
    datamodule.measured_split = "test"
    trainer.test(task, datamodule=datamodule, verbose=False)
    return task.records()


def _values(records: Any, name: str, *, draws: int | None) -> Floats:
    """Of a measure, its values of bootstrap samples; none of a single image."""
    is_slow = any(word in name for word in ("map", "mar"))
    usual = DRAWS_OF_AVERAGE_PRECISION if is_slow else DRAWS
    count = 0 if len(records) < 2 else usual if draws is None else draws
    places = samples(images=len(records), draws=count, seed=_SEED)
    shown = track(
        places,
        f"intervals of {name}",
        total=count,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    return resampled([_measure(records, name)], shown if count else [])[:, 0]


def _measure(records: Any, name: str) -> Measure:
    """A measure of a choice of images; the mean of numbers of single ones where it is no more than that."""
    each = records.of_each(name)
    if each is None:
        return partial(records.measure, name=name)
    return lambda places: float(each[places].mean())


def _keep(found: Mapping[str, Any], path: Path, *, key: Mapping[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    arrays = {f"values/{name}": values for name, values in found["values"].items()}
    facts = json.dumps({"key": key, "whole": found["whole"]})
    draft = path.with_name("draft.npz")
    np.savez_compressed(draft, facts=facts, index=found["index"], right=found["right"], **arrays)
    draft.replace(path)


def _cached(path: Path, *, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an earlier comparison found by the same weights on the same data; None where it is not there."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as kept:
        facts = json.loads(str(kept["facts"]))
        if facts["key"] != json.loads(json.dumps(key)):
            return None
        values = {name: kept[f"values/{name}"] for name in facts["whole"]}
        return {"index": kept["index"], "right": kept["right"], "whole": facts["whole"], "values": values}
