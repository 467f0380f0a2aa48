"""The rows that style transfer answers with: pictures, as `make stylize` paints them."""

from pathlib import Path

from pipeline.served.exchange import file_text, in_row, refuse_broken
from pipeline.served.question import Question, Row
from pipeline.work.inference import device_named
from pipeline.work.painting import Places, Wish, paint


def painted(question: Question) -> list[Row]:
    """A picture for each photograph, painted like its `style`, or as was learnt.

    Raises:
        ValueError: If a row holds no picture.
    """
    files, styles = question.pictures("image"), question.pictures("style")
    groups: dict[str, list[int]] = {}  # painted like the same picture, which is then looked at once
    for row in files:
        groups.setdefault(question.texts("style").get(row, ""), []).append(row)
    told: dict[int, Row] = {}
    for rows in groups.values():
        told |= _like_one(question, {row: files[row] for row in rows}, style=styles.get(rows[0]))
    return [told[row] for row in files]


def _like_one(question: Question, files: dict[int, Path], *, style: Path | None) -> dict[int, Row]:
    first = next(iter(files))
    try:
        done = paint(
            question.trained,
            list(files.values()),
            wish=Wish(styles=[str(style)] if style else ()),
            places=Places(
                folder=question.folder / "painted",
                table=question.folder / "table.csv",
                base=question.folder,
                sheet=0,
            ),
            num_workers=0,
            device=device_named(question.accelerator),
        )
    except ValueError as error:
        raise ValueError(in_row(str(error), style or Path(), row=first, column="style")) from error
    refuse_broken(done.broken, files=files, column="image")
    texts = [file_text(Path(row["picture"])) for row in done.rows]
    return {row: {"picture": text} for row, text in zip(files, texts, strict=True)}
