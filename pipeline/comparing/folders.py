"""Where a comparison lies."""

from datetime import datetime
from pathlib import Path
from uuid import uuid4

from pipeline.errors import Mistake
from pipeline.runs import outputs

COMPARISONS = "comparisons"
"""Folder of all, below outputs/, and of those of a sweep among the artefacts of its run."""


def new_folder(*, root: Path, output: str | None) -> Path:
    """Make the folder of a comparison: `outputs/comparisons/<time>/`, or the one that somebody names.

    Args:
        root: The project's root folder.
        output: That folder; None: one of its own.

    Raises:
        Mistake: There is a file of this name.
    """
    if output is not None:
        folder = Path(output).expanduser().resolve()
        if folder.is_file():
            raise Mistake(f"output={output} is a file; name a folder, which is made where there is none")
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    own = outputs(root) / COMPARISONS
    own /= f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{uuid4().hex[:8]}"
    own.mkdir(parents=True)
    return own
