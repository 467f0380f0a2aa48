"""Paints photographs with a run's network: a picture each, a contact sheet and a table."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from rich.box import ROUNDED
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline.compose import Composed
from pipeline.console import console
from pipeline.errors import EXIT_FAILURE, Mistake
from pipeline.image_files import find_images
from pipeline.painting import style_list
from pipeline.panels import LABEL, shown_path, shown_time
from pipeline.work.files import tell_broken, unused
from pipeline.work.inference import device_named
from pipeline.work.loading import Trained, load_trained
from pipeline.work.painting import Painted, Paints, Places, Wish, paint, photographs_base


def run(
    *,
    composed: Composed,
    input: str,
    style: str | list[str] | None = None,
    style_blend: list[float] | None = None,
    alpha: float = 1.0,
    colour: Literal["none", "luminance", "histogram"] | None = None,
    image_size: int | None = None,
    max_size: int = 2048,
    output: str | None = None,
    format: Literal["png", "jpg", "jpeg"] = "png",
    pictures: int = 6,
    run: str = "latest",
    checkpoint: str | None = None,
    task_name: str | None = None,
    num_workers: int = 0,
    accelerator: Literal["auto", "cpu", "gpu", "cuda"] = "auto",
) -> int:
    """Paint photographs with a run's kept weights, or with a checkpoint file.

    Args:
        composed: The whole configuration.
        input: A file, a folder (searched to the bottom) or a glob.
        style: A file, the name of an embedded photograph, or several; None where the style was learnt.
        style_blend: Weight of each style; None: all alike.
        alpha: From 0, the photograph, to 1, all of the style.
        colour: What happens to the colours; None: as trained.
        image_size: Longer side in pixels of what is painted; None: as the photograph has it.
        max_size: Longest side in pixels of what is painted without `image_size`.
        output: Folder for what is painted; None: the run's stylized/ folder.
        format: Of the pictures.
        pictures: How many photographs the contact sheet shows; 0 for no sheet.
        run: `latest`, a run id, or the beginning of one.
        checkpoint: A checkpoint file instead of a run.
        task_name: The task whose latest run is meant; typed as `task=`.
        num_workers: Processes that read images.
        accelerator: Lightning's name of the device; `cpu`, `gpu` or `auto`.

    Returns:
        0, or 1 where a file could not be read.
    """
    files = find_images(input)
    trained = _painter(composed.root, run=run, checkpoint=checkpoint, task=task_name)
    folder = _folder(output, trained=trained)
    folder.mkdir(parents=True, exist_ok=True)
    wish = Wish(
        styles=style_list(style),
        blend=style_blend,
        alpha=alpha,
        colour=colour,
        longer_side=image_size,
        at_most=max_size,
    )
    places = Places(
        folder=folder,
        table=unused(folder / "table.csv"),
        base=photographs_base(input, files),
        ending=f".{format}",
        sheet=pictures,
    )
    return paint_and_tell(
        trained,
        _others(files, folder),
        wish=wish,
        places=places,
        num_workers=num_workers,
        accelerator=accelerator,
    )


def paint_and_tell(
    trained: Trained,
    files: list[Path],
    *,
    wish: Wish,
    places: Places,
    num_workers: int,
    accelerator: str,
) -> int:
    """Paint photographs and say where the pictures lie.

    Args:
        trained: What paints.
        files: The photographs.
        wish: How.
        places: Where to.
        num_workers: Processes that read images.
        accelerator: See `run`.

    Returns:
        0, or 1 where a file could not be read.
    """
    device = device_named(accelerator)
    painted = paint(trained, files, wish=wish, places=places, num_workers=num_workers, device=device)
    console.print(_panel(painted, trained=trained, wish=wish, places=places))
    tell_broken(painted.broken)
    return EXIT_FAILURE if painted.broken else 0


def _painter(root: Path, *, run: str, checkpoint: str | None, task: str | None) -> Trained:
    """The network that a person names, where it paints.

    Raises:
        Mistake: No such run or file, or one of another task.
    """
    # A checkpoint is of the task that it is of: what to do is said below.
    of_task = None if checkpoint else task
    trained = load_trained(root=root, run=run, checkpoint=checkpoint, task=of_task)
    if not isinstance(trained.task, Paints):
        named = f"checkpoint={checkpoint}" if checkpoint else f"run={trained.run_id[:8]}"
        raise Mistake(
            f"{named} is of task={trained.config['choices']['task']}, which does not paint; take a run of "
            "task=style_transfer (run=latest is the latest of them)"
        )
    return trained


def _folder(output: str | None, *, trained: Trained) -> Path:
    if output is not None:
        return Path(output).expanduser()
    return unused(trained.folder / "stylized" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}")


def _panel(painted: Painted, *, trained: Trained, wish: Wish, places: Places) -> Panel:
    count, rows = len(painted.rows), Table.grid(padding=(0, 2))
    rows.add_column(style=LABEL, no_wrap=True)
    rows.add_column(overflow="fold")
    said = {
        "pictures": f"{shown_path(places.folder)}/" if count else "",
        "sheet": shown_path(painted.sheet) if painted.sheet else "",
        "table": shown_path(places.table),
        "style": _style(wish, trained=trained),
        "time": _time(painted),
        "size": _size(painted, wish=wish),
    }
    for label, text in said.items():
        if text:
            rows.add_row(label, Text(text, overflow="fold"))
    title = f"{count} of {count + len(painted.broken)} photographs painted with run {trained.run_id[:8]}"
    return Panel(
        rows,
        title=f"[bold]{title}[/]",
        title_align="left",
        box=ROUNDED,
        border_style="yellow" if painted.broken else "green",
    )


def _style(wish: Wish, *, trained: Trained) -> str:
    learnt = style_list(trained.config["data"].get("style"))
    members = len(trained.task.team)  # type: ignore[arg-type]
    others = f", and what {members - 1} other members learnt" if members > 1 and not wish.styles else ""
    alpha = "" if wish.alpha == 1 else f", alpha {wish.alpha:g}"
    return " and ".join(wish.styles or learnt) + others + alpha


def _time(painted: Painted) -> str:
    seconds = [float(row["seconds"]) for row in painted.rows]
    if not seconds:
        return ""
    return f"{shown_time(sum(seconds))} of painting, {sum(seconds) / len(seconds):.2f} s a picture"


def _size(painted: Painted, *, wish: Wish) -> str:
    if not painted.shrunk:
        return ""
    return (
        f"{painted.shrunk} painted smaller than the photograph, {wish.at_most} pixels long; another "
        "max_size= changes that, and memory grows with its square"
    )


def _others(files: list[Path], folder: Path) -> list[Path]:
    """Without what an earlier call has painted.

    Raises:
        Mistake: There is nothing else.
    """
    inside = folder.resolve()
    found = [file for file in files if not file.resolve().is_relative_to(inside)]
    if not found:
        raise Mistake(f"input= means only pictures in output={folder}, and nothing else; give another folder")
    return found
