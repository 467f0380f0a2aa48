"""Says who is seen in images: the nearest person of a gallery, or nobody whom it knows."""

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.compose import Composed
from pipeline.console import console
from pipeline.errors import EXIT_FAILURE, Mistake
from pipeline.panels import shown_path
from pipeline.work.drawing_pairs import write_pair
from pipeline.work.files import find_images, table_path, tell_broken, write_table
from pipeline.work.gallery import Gallery
from pipeline.work.gallery_file import check_model, gallery_path, read_gallery
from pipeline.work.loading import Trained
from pipeline.work.people import UNKNOWN
from pipeline.work.search import find_nearest
from pipeline.work.verifying import (
    Encoded,
    encode,
    is_euclidean,
    load_verifier,
    model_id,
    probability,
    threshold_of,
)

_SHOWN = 20  # files and identities on the terminal; the table has all

COLUMNS = (
    "file",
    "identity",
    "distance",
    "probability",
    "nearest",
    "nearest_file",
    "second",
    "second_distance",
)
"""Of the table: who it is (or unknown), how far the nearest image is, the probability that it shows the same,
whose it is in any case, and who comes second."""

Row = dict[str, Any]


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
        _draw(row, threshold=limit, folder=table.with_suffix(""))
    _tell(rows, gallery=known, threshold=limit)
    _tell_places(rows, table=table, pictures=pictures)
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
        }
        rows.append(row)
    return rows


def _draw(row: Row, *, threshold: float, folder: Path) -> None:
    is_known = row["identity"] != UNKNOWN
    sign = "≤" if is_known else ">"
    distance, certain = f"{row['distance']:.3f} {sign} {threshold:.3f}", f"{row['probability']:.0%}"
    verdict = f"{row['identity']}: distance {distance}, P(same) {certain}"
    words = (Path(row["file"]).name, f"nearest: {row['nearest']}")
    write_pair(
        Path(row["file"]),
        Path(row["nearest_file"]),
        words=words,
        verdict=verdict,
        is_known=is_known,
        folder=folder,
    )


def _tell(rows: list[Row], *, gallery: Gallery, threshold: float) -> None:
    if not rows:
        return
    if len(rows) <= _SHOWN:
        console.print(_shown(rows))
    counts = Counter(row["identity"] for row in rows)
    unknown = counts.pop(UNKNOWN, 0)
    names = ", ".join(f"{escape(name)}: {count}" for name, count in counts.most_common(_SHOWN))
    more = ", ..." if len(counts) > _SHOWN else ""
    console.print(
        f"{counts.total()} of {len(rows)} images known"
        + (f" ({names}{more})" if names else "")
        + f", {unknown} {UNKNOWN}"
        + (f" (farther than {threshold:.4g} from each of {gallery})" if unknown else ""),
        soft_wrap=True,
    )


def _shown(rows: list[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for heading in ("file", "identity", "distance", "P(same)", "second", "distance"):
        table.add_column(
            heading, justify="right" if heading in ("distance", "P(same)") else "left", overflow="fold"
        )
    for row in rows:
        is_known = row["identity"] != UNKNOWN
        who = escape(row["nearest"])
        table.add_row(
            escape(Path(row["file"]).name),
            f"[green]{who}[/green]" if is_known else f"[red]{UNKNOWN}[/red] (nearest: {who})",
            f"{row['distance']:.4f}",
            f"{row['probability']:.1%}",
            escape(row["second"] or ""),
            "" if row["second"] is None else f"{row['second_distance']:.4f}",
        )
    return table


def _tell_places(rows: list[Row], *, table: Path, pictures: int) -> None:
    console.print(f"table     {escape(shown_path(table))}", soft_wrap=True)
    drawn = min(len(rows), pictures)
    if drawn:
        console.print(f"pictures  {escape(shown_path(table.with_suffix('')))}/ ({drawn})", soft_wrap=True)
