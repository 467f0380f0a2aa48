"""`make stylize`: a run's network paints photographs."""

import sys
from pathlib import Path

from pipeline.compose import Composed, run_verb
from pipeline.errors import Mistake
from pipeline.image_files import check_images
from pipeline.launch import launch
from pipeline.painting import check_painter, check_styles, style_list
from pipeline.runs import check_run


def _start(composed: Composed) -> int:
    settings = composed.settings
    check_run(root=composed.root, settings=settings)
    check_images(settings["input"])
    _check_values(settings["alpha"], output=settings["output"], input=settings["input"])
    check_styles(style_list(settings["style"]), blend=settings["style_blend"])
    check_painter(root=composed.root, settings=settings)
    return launch(composed)


def _check_values(alpha: float, *, output: str | None, input: str) -> None:
    if not 0 <= alpha <= 1:
        raise Mistake(f"alpha={alpha} must be from 0, the content, to 1, all of the style")
    if output is None:
        return
    folder, photographs = Path(output).expanduser(), Path(input).expanduser()
    if folder.exists() and not folder.is_dir():
        raise Mistake(f"output={output} is a file; give a folder, into which the pictures go")
    if folder.is_dir() and photographs.is_dir() and folder.samefile(photographs):
        raise Mistake(
            f"output={output} is the folder of the photographs, where the next call would paint the pictures "
            "of this one; give another folder"
        )


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="stylize", start=_start))


if __name__ == "__main__":
    main()
