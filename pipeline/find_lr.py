"""`make find_lr`: at which learning rates a loss falls, and where it diverges."""

import sys

from pipeline.compose import Composed, run_verb
from pipeline.devices import check_compiler
from pipeline.effective_batch import RULES, rule_of
from pipeline.errors import Mistake
from pipeline.features import check_features
from pipeline.launch import launch


def _start(composed: Composed) -> int:
    _check(composed)
    check_features(root=composed.root, config=composed.config)
    return launch(composed)


def _check(composed: Composed) -> None:
    settings = composed.settings
    low, high = settings["lowest_lr"], settings["highest_lr"]
    if low >= high:
        raise Mistake(f"lowest_lr={low} must be below highest_lr={high}")
    if settings["resume"]:
        raise Mistake("resume= goes on with a run, and find_lr begins anew each time; leave it out")
    if "LBFGS" in composed.config["optimizer"]["_target_"]:
        raise Mistake("optimizer=lbfgs finds its step by itself along each line; choose another optimizer")
    _refuse_what_changes_the_step(composed)
    if settings["compile"]:
        check_compiler()


def _refuse_what_changes_the_step(composed: Composed) -> None:
    if composed.settings["batch_size_finder"]:
        raise Mistake(
            "batch_size_finder=true is for make train; leave it out here, and give the size that it found "
            "with data.batch_size="
        )
    rule = rule_of(composed.config)
    if rule != RULES[0]:
        raise Mistake(
            f"optimizer.scale_lr={rule} changes the rate, and find_lr tries rates as they are; leave it out, "
            "and train without it at the rate that is found"
        )


def main() -> None:
    """Compose, validate, then work in a process of its own."""
    sys.exit(run_verb(verb="find_lr", start=_start))


if __name__ == "__main__":
    main()
