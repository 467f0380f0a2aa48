"""`make enroll`: people for a run to know again."""

import sys
from pathlib import Path

from pipeline.compose import Composed, run_verb
from pipeline.errors import Mistake
from pipeline.image_files import check_images
from pipeline.launch import launch
from pipeline.runs import check_run


def _start(composed: Composed) -> int:
    settings = composed.settings
    if (settings["input"] is None) == (settings["remove"] is None):
        raise Mistake(
            "give either input=FOLDER with a folder for each identity, or remove=NAME to forget somebody"
        )
    if settings["input"] is None and settings["identity"] is not None:
        raise Mistake(f"identity={settings['identity']}: give its images, too: input=FILE or input=FOLDER")
    # To forget somebody in a gallery that is named, no run is needed.
    if settings["input"] is not None or settings["gallery"] is None:
        check_run(root=composed.root, settings=settings)
    # What is wrong inside a folder is said with the names that are expected there, which takes longer.
    if settings["input"] is not None and not Path(settings["input"]).expanduser().is_dir():
        check_images(settings["input"])
    return launch(composed)


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="enroll", start=_start))


if __name__ == "__main__":
    main()
