"""What is said under `hydra.sweeper`, checked before anything is started."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.errors import Mistake
from pipeline.nodes import check_arguments
from pipeline.problems import Problem, report, way_out
from pipeline.signatures import find_signature
from pipeline.sweeps.settings import SearchSettings
from pipeline.tracking_identity import password_of

_PATH = "hydra.sweeper"
_SIGNATURE = "pipeline.sweeps.settings.SearchSettings"
_NULL_IS_DEFAULT = ("params", "objectives", "repeat")


def read_settings(node: Mapping[str, Any]) -> SearchSettings:
    """The settings of a sweep.

    Args:
        node: Plain values under `hydra.sweeper`.

    Raises:
        Mistake: Something in them is unknown, of another type or out of range; all of it is said.
    """
    given = {
        key: value
        for key, value in node.items()
        if key != "_target_" and not (value is None and key in _NULL_IS_DEFAULT)
    }
    problems = [*check_arguments(_PATH, given, find_signature(_SIGNATURE)), *_out_of_range(given)]
    if problems:
        raise Mistake(report(problems).replace(f"{_SIGNATURE} ", "the sweeper "))
    return SearchSettings(**given)


def _out_of_range(given: Mapping[str, Any]) -> Iterator[Problem]:
    for key in ("n_trials", "max_batch_size"):
        count = given.get(key)
        if isinstance(count, int) and count < 1:
            yield Problem(f"{_PATH}.{key}", count, "must be at least 1, or null")
    objectives = given.get("objectives")
    for name, mode in objectives.items() if isinstance(objectives, Mapping) else ():
        if mode not in ("max", "min"):
            end, right = way_out(str(mode), ("max", "min"), otherwise="it is one of")
            yield Problem(
                f"{_PATH}.objectives.{name}", mode, f"says whether more or less is better; {end}", right
            )
    if password_of(str(given.get("storage"))):
        message = "holds a password, which must not be written down; give the whole address in OPTUNA_STORAGE"
        yield Problem(f"{_PATH}.storage", "***", message)
