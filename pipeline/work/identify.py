"""Says who is seen in images: the nearest person of a gallery, or nobody whom it knows."""

import math
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from pipeline.compose import Composed
from pipeline.errors import EXIT_FAILURE, Mistake
from pipeline.image_files import find_images
from pipeline.work.files import table_path, tell_broken, write_table
from pipeline.work.gallery import Gallery
from pipeline.work.gallery_file import check_model, gallery_path, read_gallery
from pipeline.work.loading import Trained
from pipeline.work.people import UNKNOWN
from pipeline.work.search import find_nearest
from pipeline.work.telling import Row, draw, tell, tell_calibration, tell_places
from pipeline.work.verifying import (
    Encoded,
    encode,
    is_euclidean,
    load_verifier,
    model_id,
    probability,
    threshold_of,
)

COLUMNS = (
    "file",
    "identity",
    "distance",
    "probability",
    "nearest",
    "nearest_file",
    "second",
    "second_distance",
    "ambiguous",
)
"""Of the table: who it is (or unknown), how far the nearest image is, the probability that it shows the same,
whose it is in any case, who comes second, and whether that one might as well be who it is."""

_EQUAL = 1e-6  # of the larger distance: as exact as 32 bits are


def run(
    *,
    composed: Composed,
    input: str,
    gallery: str | None = None,
    run: str = "latest",
    checkpoint: str | None = None,
    task_name: str | None = None,
    threshold: float | None = None,
    output: str | None = None,
    pictures: int = 20,
    batch_size: int | None = None,
    num_workers: int = 0,
    accelerator: Literal["auto", "cpu", "gpu", "cuda"] = "auto",
) -> int:
    """Compare images with a gallery, by a run's kept weights or a checkpoint file.

    Args:
        composed: The whole configuration.
        input: A file, a folder (searched to the bottom) or a glob.
        gallery: Parquet file of `make enroll`; None: the run's gallery.parquet.
        run: `latest`, a run id, or the beginning of one.
        checkpoint: A checkpoint file instead of a run.
        task_name: The task whose latest run is meant; typed as `task=`.
        threshold: Distance up to which two images are taken for the same; None: as validation calibrated it.
        output: Table ending in .csv, .json or .parquet; None: the run's identified/ folder.
        pictures: How many images to write beside the nearest enrolled one.
        batch_size: Images at a time; None: as trained.
        num_workers: Processes that read images.
        accelerator: Lightning's name of the device; `cpu`, `gpu` or `auto`.

    Returns:
        0, or 1 where a file could not be read.
    """
    files = find_images(input)
    trained = load_verifier(root=composed.root, run=run, checkpoint=checkpoint, task=task_name)
    known = _known(gallery_path(gallery, folder=trained.folder), trained=trained)
    limit = threshold_of(trained, given=threshold)
    table = table_path(output, folder=trained.folder / "identified")
    encoded = encode(
        trained,
        files,
        batch_size=batch_size,
        num_workers=num_workers,
        accelerator=accelerator,
        doing="identifying",
    )
    rows = _rows(encoded, gallery=known, trained=trained, threshold=limit)
    write_table(pd.DataFrame(rows, columns=list(COLUMNS)), table)
    for row in rows[:pictures]:
        draw(row, trained=trained, threshold=limit, folder=table.with_suffix(""))
    tell(rows, gallery=known, threshold=limit)
    tell_calibration(trained, gallery=known, threshold=limit)
    tell_places(rows, table=table, pictures=pictures)
    tell_broken(encoded.broken)
    return EXIT_FAILURE if encoded.broken else 0


def _known(path: Path, *, trained: Trained) -> Gallery:
    """The gallery, where it is this network's and holds somebody."""
    gallery = read_gallery(path)
    check_model(gallery, path, model=model_id(trained.task), run_id=trained.run_id)
    if not len(gallery):
        raise Mistake(f"gallery={path} holds nobody; make enroll input=FOLDER adds people")
    return gallery


def _rows(encoded: Encoded, *, gallery: Gallery, trained: Trained, threshold: float) -> list[Row]:
    """The table, a line for each file that could be read."""
    if not encoded.files:
        return []
    task: Any = trained.task
    found = find_nearest(task, encoded.encodings, gallery, is_euclidean=is_euclidean(trained))
    rows = []
    for place, file in enumerate(encoded.files):
        nearest, second = int(found.nearest[place]), int(found.second[place])
        distance, name = float(found.distance[place]), gallery.identities[nearest]
        row = {
            "file": str(file),
            "identity": name if distance <= threshold else UNKNOWN,
            "distance": distance,
            "probability": probability(trained, distance),
            "nearest": name,
            "nearest_file": gallery.files[nearest],
            "second": gallery.identities[second] if second >= 0 else None,
            "second_distance": float(found.second_distance[place]) if second >= 0 else None,
            "ambiguous": distance <= threshold and _is_equal(distance, float(found.second_distance[place])),
        }
        rows.append(row)
    return rows


def _is_equal(nearest: float, second: float) -> bool:
    return math.isfinite(second) and second - nearest <= _EQUAL * max(abs(nearest), abs(second))
