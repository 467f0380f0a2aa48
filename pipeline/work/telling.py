"""What `make identify` says and draws of its answers."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.console import console
from pipeline.panels import shown_path
from pipeline.work.drawing_pairs import write_pair
from pipeline.work.gallery import Gallery
from pipeline.work.loading import Trained
from pipeline.work.people import UNKNOWN
from pipeline.work.verifying import calibrated_threshold, strangers_taken

_SHOWN = 20  # files and identities on the terminal; the table has all

Row = dict[str, Any]


def _who(row: Row) -> str:
    """The answer in words; of two who are equally near, both."""
    return f"{row['identity']} or {row['second']}" if row["ambiguous"] else str(row["identity"])


def _belongs(threshold: float, *, calibrated: float) -> bool:
    """Whether probabilities are about this threshold: those of one that was typed are about another."""
    return threshold == calibrated or math.isnan(calibrated)


def draw(row: Row, *, trained: Trained, threshold: float, folder: Path) -> None:
    """Write an image beside the nearest enrolled one, with the answer below."""
    is_known = row["identity"] != UNKNOWN
    sign = "≤" if is_known else ">"
    distance, certain = f"{row['distance']:.3f} {sign} {threshold:.3f}", f"{row['probability']:.0%}"
    calibrated = calibrated_threshold(trained)
    other = "" if _belongs(threshold, calibrated=calibrated) else f" (calibrated: {calibrated:.3f})"
    verdict = f"{_who(row)}: distance {distance}, P(same) {certain}{other}"
    words = (Path(row["file"]).name, f"nearest: {row['nearest']}")
    write_pair(
        Path(row["file"]),
        Path(row["nearest_file"]),
        words=words,
        verdict=verdict,
        is_known=is_known,
        folder=folder,
    )


def tell(rows: list[Row], *, gallery: Gallery, threshold: float) -> None:
    """Say who was seen: few images one by one, of all how many are of whom."""
    if not rows:
        return
    if len(rows) <= _SHOWN:
        console.print(_shown(rows))
    counts = Counter(row["identity"] for row in rows)
    unknown = counts.pop(UNKNOWN, 0)
    names = ", ".join(f"{escape(name)}: {count}" for name, count in counts.most_common(_SHOWN))
    more = ", ..." if len(counts) > _SHOWN else ""
    ambiguous = sum(row["ambiguous"] for row in rows)
    console.print(
        f"{counts.total()} of {len(rows)} images known"
        + (f" ({names}{more})" if names else "")
        + (f", {ambiguous} of them ambiguous: somebody else is as near" if ambiguous else "")
        + f", {unknown} {UNKNOWN}"
        + (f" (farther than {threshold:.4g} from each of {gallery})" if unknown else ""),
        soft_wrap=True,
    )


def tell_calibration(trained: Trained, *, gallery: Gallery, threshold: float) -> None:
    """What the validation pairs say of so large a gallery, and of a threshold that was typed."""
    identities, calibrated = len(gallery.names), calibrated_threshold(trained)
    taken = strangers_taken(trained, identities=identities, threshold=threshold)
    console.print(f"gallery   {gallery}", soft_wrap=True)
    if math.isfinite(taken):
        said = _strangers(taken, identities=identities, threshold=threshold)
        console.print(f"strangers {said}", soft_wrap=True)
    if not _belongs(threshold, calibrated=calibrated):
        said = f"belongs to the calibrated threshold of {calibrated:.4g}, not to threshold={threshold:g}"
        console.print(f"P(same)   {said}", soft_wrap=True)


def _strangers(taken: float, *, identities: int, threshold: float) -> str:
    if not taken:
        return "none was taken for somebody among the validation pairs"
    return (
        f"about {100 * taken:.3g} in a hundred would be taken for somebody, if comparisons with {identities} "
        f"identities were independent; threshold= a smaller distance than {threshold:.4g} takes fewer"
    )


def _shown(rows: list[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for heading in ("file", "identity", "distance", "P(same)", "second", "distance"):
        table.add_column(
            heading, justify="right" if heading in ("distance", "P(same)") else "left", overflow="fold"
        )
    for row in rows:
        is_known = row["identity"] != UNKNOWN
        name = escape(_who(row) if is_known else row["nearest"])
        table.add_row(
            escape(Path(row["file"]).name),
            f"[green]{name}[/green]" if is_known else f"[red]{UNKNOWN}[/red] (nearest: {name})",
            f"{row['distance']:.4f}",
            f"{row['probability']:.1%}",
            escape(row["second"] or ""),
            "" if row["second"] is None else f"{row['second_distance']:.4f}",
        )
    return table


def tell_places(rows: list[Row], *, table: Path, pictures: int) -> None:
    """Say what was written."""
    console.print(f"table     {escape(shown_path(table))}", soft_wrap=True)
    drawn = min(len(rows), pictures)
    if drawn:
        console.print(f"pictures  {escape(shown_path(table.with_suffix('')))}/ ({drawn})", soft_wrap=True)
