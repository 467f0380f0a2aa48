"""What a person says of a sweep: the values of conf/hydra/sweeper/search.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Method = Literal["grid", "random", "tpe", "cmaes", "nsga2", "qmc"]
Pruner = Literal["none", "median", "asha", "hyperband"]


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How a sweep looks for good values.

    Attributes:
        method: grid takes every combination, random draws; the others are Optuna's, as are these two where
            ``storage`` or ``study`` is given.
        params: What is searched beside what is typed: names with Hydra's words for several values.
        n_trials: How many trials in all, those of other machines that share the study included; None takes
            all of a grid, and 20 of anything else.
        seed: Where random choices start.
        objectives: Names of measures with max or min; empty: what the task watches.
        repeat: Each trial trains once for each value of these, such as ``{"data.fold": [0, 1, 2]}`` or
            ``{"seed": "range(3)"}``.
        prune: How hopeless trials are found.
        storage: Address of Optuna's storage; None: ``optuna.db`` at the project's root.
        study: Its name there; None: the sweep's id.
        start_from: Name of an earlier sweep around whose best trials the ranges are narrowed.
        retry_failed: Whether a sweep that goes on tries those again that had failed.
        resume: Id of the sweep that goes on, which make sweep resume= sets; None for a new one.
        max_batch_size: Jobs that joblib, submitit or Ray are handed at once; None: all of what does not
            learn from results (grid, random), and else as many as they run at the same time.
    """

    method: Method = "grid"
    params: Mapping[str, Any] = field(default_factory=dict)
    n_trials: int | None = None
    seed: int = 0
    objectives: Mapping[str, str] = field(default_factory=dict)
    repeat: Mapping[str, Any] = field(default_factory=dict)
    prune: Pruner = "none"
    storage: str | None = None
    study: str | None = None
    start_from: str | None = None
    retry_failed: bool = False
    resume: str | None = None
    max_batch_size: int | None = None
