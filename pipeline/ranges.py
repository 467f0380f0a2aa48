"""Values that an argument of a given name can sensibly have, with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers that make sense, ends included unless they are open."""

    low: float = -inf
    high: float = inf
    open_low: bool = False
    open_high: bool = False
    reason: str

    def allows(self, number: float) -> bool:
        """Whether the number lies in the range; not a number never does."""
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return above and below

    def __str__(self) -> str:
        if self.high == inf:
            return f"{'above' if self.open_low else 'at least'} {self.low}"
        return f"in {'(' if self.open_low else '['}{self.low}, {self.high}{')' if self.open_high else ']'}"


def _positive(reason: str) -> Range:
    return Range(low=0, open_low=True, reason=reason)


def _at_least(low: float, reason: str) -> Range:
    return Range(low=low, reason=reason)


def _fraction(reason: str) -> Range:
    return Range(low=0, high=1, reason=reason)


def _below_one(reason: str) -> Range:
    return Range(low=0, high=1, open_high=True, reason=reason)


# By the argument's name, whatever the target: a learning rate is a learning rate everywhere. Only names
# that mean one thing stand here (`alpha`, `scale` and `decay` do not). Lists and groups are checked number by
# number.
RANGES: Mapping[str, Range] = {
    "lr": _positive("at 0 nothing is learned, below 0 the loss is climbed"),
    "max_lr": _positive("at 0 nothing is learned, below 0 the loss is climbed"),
    "base_lr": _positive("at 0 nothing is learned, below 0 the loss is climbed"),
    "min_lr": _at_least(0, "below 0 the loss is climbed"),
    "eta_min": _at_least(0, "below 0 the loss is climbed"),
    "lr_decay": _at_least(0, "below 0 the rate would grow"),
    "head_lr_factor": _positive("at 0 the head would never learn"),
    "lowest_lr": _positive("rates rise by a factor, and 0 never would"),
    "highest_lr": _positive("at 0 nothing is learned, below 0 the loss is climbed"),
    "cycles": _at_least(1, "it counts the falls of the learning rate"),
    "num_steps": _at_least(10, "it counts steps, and of fewer nothing can be read"),
    "smoothing": _below_one("at 1 only the past would count"),
    "momentum": _below_one("at 1 no step is ever forgotten"),
    "betas": _below_one("each is the share of the past that is kept"),
    "weight_decay": _at_least(0, "below 0 the weights are driven apart"),
    "eps": _at_least(0, "it is added to a denominator"),
    "gamma": _at_least(0, "it multiplies the learning rate"),
    "step_size": _at_least(1, "it counts epochs or steps"),
    "T_max": _at_least(1, "it counts epochs or steps"),
    "pct_start": _fraction("it is a share of the run"),
    "warmup_epochs": _at_least(0, "it counts epochs"),
    "start_factor": _fraction("it is a share of the learning rate"),
    "final_factor": _at_least(0, "it is a share of the learning rate"),
    "warmup_steps": _at_least(0, "it counts steps"),
    "batch_size": _at_least(1, "a batch holds at least one image"),
    "num_workers": _at_least(0, "0 loads in the main process"),
    "prefetch_factor": _at_least(1, "it counts batches"),
    "image_size": _at_least(1, "it counts pixels"),
    "channels": _at_least(1, "it counts channels"),
    "in_channels": _at_least(1, "it counts channels"),
    "num_classes": _at_least(1, "it counts classes"),
    "std": _positive("a deviation of 0 is no deviation, and pixels are divided by it"),
    "horizontal_flip": _fraction("it is a probability"),
    "val_fraction": _below_one("it is a share of all images"),
    "test_fraction": _below_one("it is a share of all images"),
    "num_folds": _at_least(2, "one fold is validated, the others are trained on; null for no folds"),
    "fold": _at_least(0, "folds are counted from 0"),
    "seed": Range(low=0, high=2**32 - 1, reason="NumPy takes no other seeds"),
    "p": _fraction("it is a probability"),
    "probability": _fraction("it is a probability"),
    "dropout": _below_one("at 1 nothing passes"),
    "drop_rate": _below_one("at 1 nothing passes"),
    "drop_path_rate": _below_one("at 1 nothing passes"),
    "label_smoothing": _below_one("at 1 the label says nothing any more"),
    "mixing_alpha": _positive("it is a parameter of the Beta distribution"),
    "mixing_probability": _fraction("it is a probability"),
    "max_epochs": _at_least(-1, "-1 is without end"),
    "min_epochs": _at_least(0, "it counts epochs"),
    "max_steps": _at_least(-1, "-1 is without end"),
    "min_steps": _at_least(0, "it counts steps"),
    "num_nodes": _at_least(1, "it counts machines"),
    "accumulate_grad_batches": _at_least(1, "it counts batches; 1 is no accumulation"),
    "gradient_clip_val": _at_least(0, "it is the largest norm; null for no clipping"),
    "check_val_every_n_epoch": _at_least(1, "it counts epochs"),
    "val_check_interval": _positive("it is a share of an epoch, or counts batches"),
    "log_every_n_steps": _at_least(0, "it counts steps"),
    "num_sanity_val_steps": _at_least(-1, "-1 is the whole validation split"),
    "limit_train_batches": _at_least(0, "a float is a share, an int counts batches"),
    "limit_val_batches": _at_least(0, "a float is a share, an int counts batches"),
    "limit_test_batches": _at_least(0, "a float is a share, an int counts batches"),
    "limit_predict_batches": _at_least(0, "a float is a share, an int counts batches"),
    "overfit_batches": _at_least(0, "a float is a share, an int counts batches"),
    "patience": _at_least(0, "it counts checks without progress"),
    "port": Range(low=1, high=65535, reason="there are no other ports"),
    "count": _at_least(1, "it counts pictures"),
    "pictures": _at_least(0, "it counts pictures"),
    "min_score": _fraction("it is a share of certainty"),
    "score_threshold": _fraction("it is a share of certainty"),
    "nms_threshold": _fraction("it is an intersection over union"),
    "min_visibility": _fraction("it is a share of the object's area"),
    "multi_scale": _positive("it multiplies the size of the images"),
    "detections_per_image": _at_least(1, "it counts objects"),
    "num_anchors": _at_least(1, "it counts anchors"),
    "trainable_stages": _at_least(0, "it counts stages, from the last one"),
    "max_size": _at_least(1, "it counts pixels"),
    "auxiliary_weight": _at_least(0, "it multiplies a loss"),
    "losses": _at_least(0, "each is the weight of a loss; 0 leaves it out"),
    "window": _at_least(0, "it counts pixels; 0 takes whole images"),
    "window_overlap": _below_one("at 1 the window would never move on"),
    "embedding_size": _at_least(1, "it counts the numbers of an embedding"),
    "temperature": _positive("likenesses are divided by it"),
    "images_per_identity": _at_least(2, "of one image there is no matching pair"),
    "match_share": _fraction("it is a share of the pairs"),
    "max_pairs": _at_least(2, "it counts pairs: a matching one, and another"),
    "max_queries": _at_least(1, "it counts images"),
    "cycle_epochs": _at_least(1, "it counts epochs"),
    "jobs": _at_least(1, "it counts processes"),
    "top": _at_least(1, "it counts rows of a table"),
    "draws": _at_least(0, "it counts samples; 0 leaves the intervals out"),
    "keep_epochs": _at_least(0, "it counts epochs"),
    "k": _at_least(2, "one checkpoint is no average"),
    "epoch": _at_least(0, "epochs are counted from 0"),
    "save_top_k": _at_least(-1, "-1 keeps all, 0 none"),
}
# Where a float is a share, 1.5 can only be a mistake.
_SHARES = frozenset(name for name in RANGES if name.startswith(("limit_", "overfit_"))) | {
    "val_check_interval"
}


def explain(name: str, value: object) -> str | None:
    """Say what is wrong with the number or numbers given to an argument.

    Args:
        name: Name of the argument, such as ``lr``.
        value: Anything; only numbers, and lists and groups of them, are looked at.

    Returns:
        What the value must be and why, or None where nothing is wrong.
    """
    if name == "devices":
        return _explain_devices(value)
    allowed = RANGES.get(name)
    for number in _members(value):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if allowed and not allowed.allows(number):
            return f"must be {allowed} ({allowed.reason})"
        if name in _SHARES and isinstance(number, float) and number > 1:
            return "must be at most 1.0 as a share; write an integer to count batches"
    return None


def _members(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else [value]


def _explain_devices(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int) or value == -1 or value >= 1:
        return None
    return "must be at least 1, or -1 for all there are"
