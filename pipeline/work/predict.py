"""Predicts for image files: a table, annotated pictures, and masks where the task makes some."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from pipeline.compose import Composed
from pipeline.console import console
from pipeline.errors import EXIT_FAILURE
from pipeline.image_files import find_images
from pipeline.panels import shown_path
from pipeline.work.drawing import can_annotate, write_annotated
from pipeline.work.files import table_path, tell_broken, write_table
from pipeline.work.inference import Answer, answers, device_named
from pipeline.work.loading import Trained, load_trained, use_tta, use_window
from pipeline.work.masks import FOLDER, ClassMask, class_masks, mask_names, write_mask
from pipeline.work.painting import SHEET, Paints, Places, Wish, photographs_base
from pipeline.work.stylize import paint_and_tell

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What was predicted for a file.

    Attributes:
        path: The file.
        rows: Its lines of the table.
        mask: The classes of its pixels, where the task finds them.
        error: What is wrong with the file; empty where nothing is.
    """

    path: Path
    rows: list[Row]
    mask: ClassMask | None
    error: str


@dataclass(kw_only=True)
class Kept:
    """What has been predicted so far, with its pictures and masks on disk.

    Attributes:
        folder: Where pictures and masks go.
        rows: Lines of the table, for each file.
        broken: What is wrong with the files that could not be read.
        pictures: Annotated pictures written.
        masks: Masks written.
    """

    folder: Path
    rows: list[list[Row]] = field(default_factory=list)
    broken: dict[Path, str] = field(default_factory=dict)
    pictures: int = 0
    masks: int = 0

    def add(self, found: Predicted, *, min_score: float, pictures: int, mask_name: str) -> None:
        """Keep a file's lines that are sure enough, its mask, and up to a number of pictures its picture."""
        sure = [row for row in found.rows if row.get("score", 1.0) >= min_score]
        named = {"file": str(found.path), **({} if found.mask is None else {"mask": mask_name})}
        self.rows.append([{**named, **row} for row in sure])
        if found.error:
            self.broken[found.path] = found.error
            return
        if found.mask is not None:
            write_mask(found.mask, self.folder / FOLDER / mask_name)
            self.masks += 1
        if self.pictures < pictures and can_annotate(sure, mask=found.mask):
            write_annotated(found.path, sure, folder=self.folder, mask=found.mask)
            self.pictures += 1


def run(
    *,
    composed: Composed,
    input: str,
    run: str = "latest",
    checkpoint: str | None = None,
    task_name: str | None = None,
    output: str | None = None,
    pictures: int = 100,
    min_score: float = 0.3,
    window: int | None = None,
    window_overlap: float | None = None,
    tta: str = "none",
    batch_size: int | None = None,
    num_workers: int = 0,
    accelerator: Literal["auto", "cpu", "gpu", "cuda"] = "auto",
) -> int:
    """Predict for files with a run's kept weights, or with a checkpoint file.

    Args:
        composed: The whole configuration.
        input: A file, a folder (searched to the bottom) or a glob.
        run: `latest`, a run id, or the beginning of one.
        checkpoint: A checkpoint file instead of a run.
        task_name: The latest run of this task; typed as `task=`.
        output: Table ending in .csv, .json or .parquet; None: the run's predictions/ folder.
        pictures: How many annotated pictures to write.
        min_score: Objects that the network is less sure of are left out, in [0, 1]; 0 keeps what average
            precision is computed from.
        window: See `use_window`.
        window_overlap: See `use_window`.
        tta: See `use_tta`.
        batch_size: Images at a time; None: as trained.
        num_workers: Processes that read images.
        accelerator: Lightning's name of the device; `cpu`, `gpu` or `auto`.

    Returns:
        0, or 1 where a file could not be read.
    """
    files = find_images(input)
    trained = load_trained(root=composed.root, run=run, checkpoint=checkpoint, task=task_name)
    use_window(trained, window=window, window_overlap=window_overlap)
    trained = use_tta(trained, tta)
    table = table_path(output, folder=trained.folder / "predictions")
    if isinstance(trained.task, Paints):  # what it predicts of a photograph is a picture
        places = Places(
            folder=table.with_suffix(""),
            table=table,
            base=photographs_base(input, files),
            sheet=min(pictures, SHEET),
        )
        return paint_and_tell(
            trained, files, wish=Wish(), places=places, num_workers=num_workers, accelerator=accelerator
        )
    given = answers(
        trained,
        files,
        batch_size=batch_size,
        num_workers=num_workers,
        device=device_named(accelerator),
        doing="predicting",
    )
    names = mask_names(files)
    kept = Kept(folder=table.with_suffix(""))
    for found in _predictions(trained, given):
        kept.add(found, min_score=min_score, pictures=pictures, mask_name=names[found.path])
    _write_table(kept.rows, table, task=trained.task)
    _tell(trained, kept, table=table)
    return EXIT_FAILURE if kept.broken else 0


def _predictions(trained: Trained, found: Iterable[Answer]) -> Iterator[Predicted]:
    """Each file with its rows, or with what is wrong with it."""
    task: Any = trained.task
    for answer in found:
        rows, masks = task.rows(answer.output), class_masks(task, answer.output, count=len(answer.files))
        for path, of_file, mask, error in zip(answer.files, rows, masks, answer.errors, strict=True):
            yield Predicted(
                path=path, rows=[] if error else of_file, mask=None if error else mask, error=error
            )


def _write_table(rows: list[list[Row]], path: Path, *, task: Any) -> None:
    """Rows of each image, in the format that the ending says; a task may have its field's own JSON."""
    if path.suffix == ".json" and hasattr(task, "json_records"):
        records = [task.json_records(found, image_id=number) for number, found in enumerate(rows)]
        path.write_text(json.dumps(list(chain(*records)), indent=1), encoding="utf-8")
        return
    found = list(chain(*rows))
    # A table without rows still has its columns.
    frame = pd.DataFrame(found, columns=None if found else ["file", *getattr(task, "columns", ())])
    write_table(frame, path)


def _tell(trained: Trained, kept: Kept, *, table: Path) -> None:
    count = len(kept.rows)
    console.print(f"{count - len(kept.broken)} of {count} images predicted with run {trained.run_id[:8]}")
    console.print(f"table     {shown_path(table)}", soft_wrap=True)
    if kept.masks:
        console.print(f"masks     {shown_path(kept.folder / FOLDER)}/ ({kept.masks})", soft_wrap=True)
    if kept.pictures:
        console.print(f"pictures  {shown_path(kept.folder)}/ ({kept.pictures})", soft_wrap=True)
    tell_broken(kept.broken)
