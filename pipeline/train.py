"""`make train`: one training run, from data to tested weights."""

import os
import sys

from pipeline import record, requeue
from pipeline.compose import Composed, run_verb
from pipeline.crew import end_with_crew
from pipeline.devices import check_compiler
from pipeline.features import check_features
from pipeline.launch import launch
from pipeline.ranks import follows_from_outside
from pipeline.resume import resumed
from pipeline.runs import STARTED_AS


def _start(composed: Composed) -> int:
    earlier = requeue.earlier_attempt(composed)
    if earlier is not None and earlier.facts.get("status") == "FINISHED":
        if STARTED_AS in os.environ:  # whoever wants the run looks for it by this word
            record.update_facts(earlier.folder, started_as=os.environ[STARTED_AS])
        return 0  # this command of the script had ended when the job was put into the queue again
    if earlier is not None:
        composed = requeue.going_on(composed, earlier)
    code = _begin(composed)
    if code == requeue.EXIT_REQUEUE and not follows_from_outside():
        requeue.put_back()
    return code


def _begin(composed: Composed) -> int:
    whole = resumed(composed) if composed.settings["resume"] else composed
    if whole.settings.get("compile"):
        check_compiler()
    if not whole.settings["resume"]:
        check_features(root=whole.root, config=whole.config)
    return launch(whole)


def main() -> None:
    """Compose, validate, then train in a process of its own."""
    end_with_crew()
    sys.exit(run_verb(verb="train", start=_start))


if __name__ == "__main__":
    main()
