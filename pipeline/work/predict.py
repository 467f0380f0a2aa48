"""Predicts for image files: a table, and annotated pictures."""

import glob
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from lightning_fabric.utilities.apply_func import move_data_to_device
from rich.progress import track
from torch.utils.data import DataLoader

from pipeline.compose import Composed
from pipeline.console import console
from pipeline.errors import EXIT_FAILURE, Mistake
from pipeline.panels import shown_path
from pipeline.work.drawing import write_annotated
from pipeline.work.loading import Trained, data_of, load_trained

_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_TABLES = (".csv", ".json", ".parquet")

Row = dict[str, Any]


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
        batch_size: Images at a time; None: as trained.
        num_workers: Processes that read images.
        accelerator: Lightning's name of the device; `cpu`, `gpu` or `auto`.

    Returns:
        0, or 1 where a file could not be read.
    """
    files = find_images(input)
    trained = load_trained(root=composed.root, run=run, checkpoint=checkpoint, task=task_name)
    table = _table_path(output, folder=trained.folder)
    loader = _loader(trained, files=files, batch_size=batch_size, num_workers=num_workers)
    rows: list[list[Row]] = []
    broken: dict[Path, str] = {}
    written = 0
    for path, found, error in _predictions(trained, loader, files=files, device=_device(accelerator)):
        kept = [{"file": str(path), **row} for row in found if row.get("score", 1.0) >= min_score]
        rows.append(kept)
        if error:
            broken[path] = error
        elif written < pictures:
            write_annotated(path, kept, folder=table.with_suffix(""))
            written += 1
    _write_table(rows, table, task=trained.task)
    _tell(trained, files=files, broken=broken, table=table, written=written)
    return EXIT_FAILURE if broken else 0


def find_images(pattern: str) -> list[Path]:
    """The image files that `input=` means, sorted.

    Args:
        pattern: A file, a folder, or a glob.

    Raises:
        Mistake: Nothing is there, or nothing that looks like an image.
    """
    path = Path(pattern).expanduser()
    if path.is_file():
        return [path]
    found = path.rglob("*") if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))
    images = sorted(file for file in found if file.suffix.lower() in _ENDINGS)
    if not images:
        endings = " ".join(sorted(_ENDINGS))
        raise Mistake(
            f"input={pattern}: no images here; give a file, a folder or a glob in quotes ({endings})"
        )
    return images


def _table_path(output: str | None, *, folder: Path) -> Path:
    path = Path(output) if output else folder / "predictions" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}.csv"
    if path.suffix not in _TABLES:
        raise Mistake(f"output={output}: the ending says the format; choose one of {', '.join(_TABLES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _device(accelerator: str) -> torch.device:
    wants_gpu = accelerator in ("gpu", "cuda", "auto")
    if wants_gpu and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator in ("gpu", "cuda"):
        raise Mistake(
            f"accelerator={accelerator}: this machine has no CUDA device; use accelerator=cpu or auto"
        )
    return torch.device("cpu")


def _loader(
    trained: Trained, *, files: list[Path], batch_size: int | None, num_workers: int
) -> DataLoader[Any]:
    datamodule: Any = data_of(trained, batch_size=batch_size)
    return DataLoader(
        datamodule.predict_dataset(files),
        batch_size=datamodule.batch_size,
        num_workers=num_workers,
        collate_fn=datamodule.collate,
    )


def _predictions(
    trained: Trained, loader: DataLoader[Any], *, files: list[Path], device: torch.device
) -> Iterator[tuple[Path, list[Row], str]]:
    """Each file with its rows, or with what is wrong with it."""
    task: Any = trained.task.to(device)
    for batch in track(loader, description="predicting", console=console):
        with torch.inference_mode():
            rows = task.rows(task.predict_step(move_data_to_device(batch, device), 0))
        for index, found, error in zip(batch["index"].tolist(), rows, batch["error"], strict=True):
            yield files[index], [] if error else found, error


def _write_table(rows: list[list[Row]], path: Path, *, task: Any) -> None:
    """Rows of each image, in the format that the ending says; a task may have its field's own JSON."""
    if path.suffix == ".json" and hasattr(task, "json_records"):
        records = [task.json_records(found, image_id=number) for number, found in enumerate(rows)]
        path.write_text(json.dumps(list(chain(*records)), indent=1), encoding="utf-8")
        return
    found = list(chain(*rows))
    # A table without rows still has its columns.
    frame = pd.DataFrame(found, columns=None if found else ["file", *getattr(task, "columns", ())])
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".json":
        frame.to_json(path, orient="records", indent=1)
    else:
        frame.to_parquet(path, index=False)


def _tell(trained: Trained, *, files: list[Path], broken: dict[Path, str], table: Path, written: int) -> None:
    console.print(
        f"{len(files) - len(broken)} of {len(files)} images predicted with run {trained.run_id[:8]}"
    )
    console.print(f"table     {shown_path(table)}", soft_wrap=True)
    if written:
        console.print(f"pictures  {shown_path(table.with_suffix(''))}/ ({written})", soft_wrap=True)
    for path, error in broken.items():
        console.print(f"[red]could not be read[/red] {path}: {error}", soft_wrap=True)
