"""`make ensemble`: several networks that answer as one, trained for it or joined from runs that exist."""

import sys
from dataclasses import replace
from typing import Any

from pipeline import requeue
from pipeline.compose import Composed, run_verb, settings_of
from pipeline.errors import EXIT_FAILURE, EXIT_MISTAKE, Mistake, tell
from pipeline.fusing import FITTED, check_fusing
from pipeline.joining import members_of_run, named_members
from pipeline.launch import launch
from pipeline.members import Ended, train_members
from pipeline.ranks import refuse_several

# What of make train is of use where nothing is trained: where to measure, and where to write.
_OF_DATA = ("data.batch_size", "data.num_workers", "data.data_dir")
_FOR_MEASURING = ("seed", "task", "debug", "logger", "trainer.accelerator", *_OF_DATA)
_WAYS = (
    "say what to join: members=5 trains five runs first, runs=[a,b,c] takes runs that exist, "
    "and run=latest which=snapshots several checkpoints of one"
)


def _start(composed: Composed) -> int:
    settings = composed.settings
    _check_one_way(settings)
    if settings["members"] is not None:
        return _trained_and_joined(composed)
    _refuse_training_words(composed)
    typed = {word.partition("=")[0]: word.partition("=")[2] for word in composed.overrides}
    return launch(replace(composed, settings={**settings, **_exact(composed, task=typed.get("task"))}))


def _exact(composed: Composed, *, task: str | None) -> dict[str, Any]:
    """The settings with each member named by its path or whole id: `latest` may soon be another run."""
    settings, root = composed.settings, composed.root
    if settings["runs"] is not None:
        members = named_members(root=root, runs=settings["runs"], task=task)
    else:
        members = members_of_run(root=root, run=settings["run"], which=settings["which"], task=task)
    _check_weights(settings["weights"], count=len(members))
    return {"runs": [member.exact for member in members], "run": None}


def _check_one_way(settings: dict[str, Any]) -> None:
    given = [key for key in ("members", "runs", "run") if settings[key] is not None]
    if len(given) != 1:
        both = f"{' and '.join(given)} are given; " if given else ""
        raise Mistake(f"{both}{_WAYS}")
    if settings["resume"] is not None:
        raise Mistake(
            f"resume={settings['resume']}: an ensemble has nothing to go on with; see make train resume="
        )
    if settings["members"] is not None:
        _check_members(settings)


def _check_members(settings: dict[str, Any]) -> None:
    count = settings["members"]
    if count < 2:
        raise Mistake(f"members={count}: an ensemble needs at least two members; five are usual")
    _check_weights(settings["weights"], count=count)


def _check_weights(weights: list[float] | str | None, *, count: int) -> None:
    if isinstance(weights, list) and len(weights) != count:
        raise Mistake(
            f"weights={weights}: these are {len(weights)} weights for {count} members; give one for each, "
            f"in their order, or weights={FITTED}"
        )
    if isinstance(weights, list) and not (min(weights) >= 0 and 0 < sum(weights) < float("inf")):
        raise Mistake(f"weights={weights} must be at least 0 each, and one of them above 0")


def _refuse_training_words(composed: Composed) -> None:
    own = (
        settings_of(verb="ensemble", config=composed.config).keys()
        - settings_of(verb="train", config=composed.config).keys()
    )
    for word in composed.overrides:
        key = word.lstrip("+~").partition("=")[0].partition("@")[0]
        may = key in {*own, *_FOR_MEASURING} or key.startswith("logger.")
        if not may:
            raise Mistake(
                f"{word}: runs that exist are not trained again; leave it out, or train with members=5"
            )


def _trained_and_joined(composed: Composed) -> int:
    settings = composed.settings
    refuse_several(composed)
    check_fusing(composed.config, fusion=settings["fusion"], weights=settings["weights"])
    ended = train_members(composed, words=_training_words(composed))
    code = _joined(composed, ended)
    if requeue.EXIT_REQUEUE in (code, *(member.code for member in ended)):
        requeue.put_back()
    return code


def _joined(composed: Composed, ended: list[Ended]) -> int:
    settings, finished = composed.settings, _finished(ended)
    if len(finished) < settings["members"]:
        return _tell_of_failures(ended, count=settings["members"])
    code = launch(replace(composed, settings={**settings, "runs": finished, "members": None}))
    if code != 0:
        tell(f"the members are trained; they are joined by\n$ make ensemble runs=[{_short(finished)}]")
    return code


def _finished(ended: list[Ended]) -> list[str]:
    return [member.run.run_id for member in ended if member.code == 0 and member.run is not None]


def _short(run_ids: list[str]) -> str:
    return ",".join(run_id[:8] for run_id in run_ids)


def _training_words(composed: Composed) -> list[str]:
    """What was typed for make train."""
    of_training = settings_of(verb="train", config=composed.config)
    own = settings_of(verb="ensemble", config=composed.config).keys() - of_training.keys()
    return [word for word in composed.overrides if word.partition("=")[0] not in {*own, "seed"}]


def _tell_of_failures(ended: list[Ended], *, count: int) -> int:
    """Say which members are missing, and how what is there can be used."""
    failed = [member for member in ended if member.code != 0]
    finished = _finished(ended)
    lines = [f"{member.name} {member.how}" for member in failed]
    lines += [f"{count - len(ended)} of {count} members were not started"] if len(ended) < count else []
    if len(finished) > 1:
        lines.append(f"the others are kept; they are joined by\n$ make ensemble runs=[{_short(finished)}]")
    elif finished:
        lines.append(f"run {_short(finished)} is kept")
    code = failed[0].code if failed else EXIT_FAILURE
    if code != EXIT_MISTAKE or finished:  # a mistake of all has been told by the first
        tell("\n".join(lines))
    return code


def main() -> None:
    """Compose, validate, train members where they are asked for, then join in a process of its own."""
    sys.exit(run_verb(verb="ensemble", start=_start))


if __name__ == "__main__":
    main()
