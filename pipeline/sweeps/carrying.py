"""What a fine sweep takes over from the coarse one beside its ranges: its words, and the files it chose."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from pipeline.sweeps.folder import Sweep, find_sweep

KEY = "hydra.sweeper.start_from"
_NAMED = re.compile(rf"""{re.escape(KEY)}=["']?([^"']+)["']?""")
_GROUPS = ("task", "model", "data", "transforms", "optimizer", "scheduler")
# What says how a sweep searches and not what its runs are; a fine one trains longer.
_OF_THE_SWEEP = re.compile(r"hydra[./]|sweep=|trainer\.max_epochs=")


def carried(words: Sequence[str], *, root: Path) -> list[str]:
    """A command line with what an earlier sweep was told, where it narrows one; what is typed wins.

    Args:
        words: As Hydra reads them.
        root: The project's root folder.

    Returns:
        The same words, the earlier sweep by its whole id, and further ones at the end.

    Raises:
        Mistake: The earlier sweep is not there.
    """
    named = [found[1] for word in words if (found := _NAMED.fullmatch(word)) and found[1] != "null"]
    if not named:
        return list(words)
    earlier = find_sweep(root=root, name=named[-1], key=KEY)
    kept = [word for word in words if not _NAMED.fullmatch(word)]
    taken = {_key(word) for word in kept} | {key.lstrip("+") for key in earlier.facts.get("space") or {}}
    further = {_key(word): word for word in [*_goals(earlier, words=kept), *_told(earlier, root=root)]}
    # In quotes, because an id such as 12345678 or 1e5 is no number.
    return [*kept, f'{KEY}="{earlier.sweep_id}"', *(further[key] for key in further if key not in taken)]


def _told(earlier: Sweep, *, root: Path) -> Iterator[str]:
    """Files first: what is said of values counts on top of them."""
    yield from (f"{group}={name}" for group, name in _choices(earlier, root=root).items())
    yield from (word for word in earlier.facts.get("words", ()) if not _OF_THE_SWEEP.match(word))


def _goals(earlier: Sweep, *, words: Sequence[str]) -> Iterator[str]:
    """What it looked for, unless this one is of another task, which has other measures."""
    task = next((word for word in reversed(words) if word.startswith("task=")), "")
    if earlier.objectives and task in ("", f"task={earlier.facts.get('task')}"):
        goals = ", ".join(f"{name}: {mode}" for name, mode in earlier.objectives.items())
        yield f"++hydra.sweeper.objectives={{{goals}}}"


def _choices(earlier: Sweep, *, root: Path) -> Mapping[str, str]:
    """The files that its runs were made of, as one of them remembers: conf/sweep may have named them."""
    folders = [root / outcome.folder for outcome in earlier.outcomes if outcome.folder]
    files = [folder / "config.yaml" for folder in folders if (folder / "config.yaml").is_file()]
    if not files:
        return {"task": str(earlier.facts["task"])} if "task" in earlier.facts else {}
    choices = yaml.safe_load(files[0].read_text(encoding="utf-8"))["choices"]
    return {group: choices[group] for group in _GROUPS if choices.get(group)}


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")
