"""Which values of a configuration tell runs apart, and how to call them shortly."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from pipeline.comparing.listed import KIND, Listed

SEEDS = ("seed", "data.seed")
"""Where everything random starts; the second is a copy of the first."""

FOLD = "data.fold"

_BOOKKEEPING = (
    "resume",
    "logger",
    "baselines",
    "measures",
    "choices.task",
    "choices.experiment",  # what its file says is there in full
    "callbacks.progress",
    "callbacks.history",
    "callbacks.figures",
    "data.num_workers",
    "data.data_dir",
    "data.cache_dir",
    "data.transforms",  # a copy of transforms
    "trainer.default_root_dir",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
    "trainer.log_every_n_steps",
    "trainer.profiler",
)

# What a file of a group decides together with others: not shown where these tell the runs apart already.
_DECIDED_BY = {
    "model": ("choices.model", "choices.network", "choices.features", "choices.data", "data.image_size"),
    "data": ("choices.data",),
    "transforms": ("choices.transforms", "choices.data", "data.image_size"),
    "optimizer": ("choices.optimizer",),
    "scheduler": ("choices.scheduler",),
}

# Of such values those that a person looks for in any case.
_ALWAYS = ("optimizer.lr", "data.batch_size", "data.image_size")


@cache
def is_bookkeeping(key: str) -> bool:
    """Whether a key of the configuration says nothing of what was trained."""
    return any(key == name or key.startswith(f"{name}.") for name in _BOOKKEEPING)


def differing_keys(runs: Sequence[Listed], *, spread: Sequence[str] = ()) -> list[str]:
    """The keys in which runs differ, without those that follow from others.

    Args:
        runs: Of one task.
        spread: Keys that are left out, such as the seed.

    Returns:
        Dotted keys: how the networks came about, then the files that were chosen, then single values.
    """
    texts = columns_of(runs)
    varied = [key for key in texts if key not in spread and len(set(texts[key])) > 1]
    typed = {_key_of(word) for listed in runs for word in listed.run.facts.get("overrides", ())}
    chosen = [key for key in varied if key == KIND or key.startswith("choices.")]
    shown = [*chosen, *(key for key in varied if key not in chosen and (key in typed or key in _ALWAYS))]
    for key in varied:
        if key not in shown and not _follows(key, shown, texts):
            shown.append(key)
    return shown


def columns_of(runs: Sequence[Listed]) -> dict[str, list[str]]:
    """Of every key that is no bookkeeping, the value in each run; empty where a run has no such key."""
    keys = dict.fromkeys(key for listed in runs for key in listed.values)
    return {key: [listed.values.get(key, "") for listed in runs] for key in keys if not is_bookkeeping(key)}


def _key_of(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _follows(key: str, shown: Sequence[str], texts: Mapping[str, Sequence[str]]) -> bool:
    """Whether a value is a copy of one that is shown, or is decided by such."""
    if any(texts[key] == texts[other] for other in shown):
        return True
    parents = [other for other in _DECIDED_BY.get(key.partition(".")[0], ()) if other in shown]
    if not parents:
        return False
    pairs = set(zip(zip(*(texts[parent] for parent in parents), strict=True), texts[key], strict=True))
    return len(pairs) == len({parent for parent, _ in pairs})


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """For each key the shortest end of it that no other has: `optimizer.lr` is `lr`."""
    plain = {key: key.removeprefix("choices.").split(".") for key in keys}
    return {
        key: _shortest(parts, [other for other in plain if other != key], plain)
        for key, parts in plain.items()
    }


def _shortest(parts: Sequence[str], others: Sequence[str], plain: Mapping[str, Sequence[str]]) -> str:
    for length in range(1, len(parts) + 1):
        if all(list(plain[other][-length:]) != list(parts[-length:]) for other in others):
            return ".".join(parts[-length:])
    return ".".join(parts)
