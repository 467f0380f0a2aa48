"""Which networks an ensemble is made of, and why some cannot be joined; no torch here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import Mistake
from pipeline.kept_files import kept_best, kept_snapshots
from pipeline.painting import TASK as PAINTS
from pipeline.painting import needs_style, paints_others, style_list
from pipeline.runs import WHOLE_ID, Run, find_run, run_of

Which = Literal["snapshots", "best"]

_OF_PAINTERS = ", of one data.content where that is all they paint, and of as many styles"


@dataclass(frozen=True, kw_only=True)
class Named:
    """One member as a person means it.

    Attributes:
        name: As it was typed.
        run: The run; None where it is not on this machine.
        path: A checkpoint; None: the one that the run kept.
    """

    name: str
    run: Run | None
    path: Path | None

    @property
    def exact(self) -> str:
        """What means the same later, when another run may be the latest: a path or a whole id."""
        if self.path is not None:
            return str(self.path)
        return self.run.run_id if self.run is not None else self.name


def is_file(name: str) -> bool:
    """Whether a member is named by its checkpoint file."""
    return name.endswith(".ckpt") or "/" in name


def named_members(*, root: Path, runs: Sequence[str], task: str | None) -> list[Named]:
    """The members that a person names.

    A whole id may still be known to the MLflow server; that is looked up later.

    Args:
        root: The project's root folder.
        runs: Each `latest`, a run id, the beginning of one, or a checkpoint file.
        task: Among whose runs; None: among all.

    Raises:
        Mistake: One of them is not there, there are fewer than two, or they cannot be joined.
    """
    members = [_named(name, root=root, task=task) for name in runs]
    _check(members, asked=f"runs=[{','.join(runs)}]")
    return members


def members_of_run(*, root: Path, run: str, which: Which, task: str | None) -> list[Named]:
    """Several checkpoints of one run.

    Args:
        root: The project's root folder.
        run: `latest`, a run id, or the beginning of one.
        which: `snapshots` at the ends of cycles of the learning rate, or the `best` that were kept.
        task: Among whose runs; None: among all.

    Raises:
        Mistake: The run is not there, or has fewer than two such checkpoints.
    """
    found = find_run(root=root, name=run, task=task, trained=True)
    refuse_ensemble(found, verb="ensemble")
    kept = {"snapshots": kept_snapshots, "best": kept_best}[which]
    paths = kept(found.folder / "checkpoints")
    if len(paths) < 2:
        trained_so = {"snapshots": "scheduler=snapshot", "best": "callbacks.checkpoint.save_top_k=5"}[which]
        raise Mistake(
            f"run={run} which={which}: it kept {len(paths)} such checkpoint(s), and an ensemble needs two; "
            f"train with {trained_so}"
        )
    return [Named(name=path.name, run=found, path=path) for path in paths]


def refuse_ensemble(run: Run, *, verb: str) -> None:
    """Refuse an ensemble where a single network is wanted.

    Args:
        run: The run.
        verb: What wants it, for the message.

    Raises:
        Mistake: It is an ensemble.
    """
    if run.is_ensemble:
        parents = [str(parent)[:8] for parent in run.facts.get("ensemble", {}).get("parents", [])]
        among = f", such as {parents[0]}" if parents else ""
        raise Mistake(
            f"run={run.run_id[:8]} is an ensemble, and make {verb} takes single networks; name its "
            f"members{among}"
        )


def _named(name: str, *, root: Path, task: str | None) -> Named:
    if is_file(name):
        path = Path(name).expanduser().resolve()
        if not path.is_file():
            raise Mistake(
                f"runs: {name}: there is no such file; give a run, or a file from a run's checkpoints/"
            )
        return Named(name=name, run=run_of(path), path=path)
    try:
        return Named(
            name=name, run=find_run(root=root, name=name, task=task, trained=True, key="runs"), path=None
        )
    except Mistake:
        if not WHOLE_ID.fullmatch(name):
            raise
        return Named(name=name, run=None, path=None)


def _check(members: Sequence[Named], *, asked: str) -> None:
    if len(members) < 2:
        raise Mistake(f"{asked}: an ensemble needs at least two members; name more runs, separated by commas")
    seen: dict[str, str] = {}
    for member in members:
        if member.run is not None:
            refuse_ensemble(member.run, verb="ensemble")
        if member.exact in seen:
            raise Mistake(
                f"{asked}: {seen[member.exact]} and {member.name} are the same; name each member once"
            )
        seen[member.exact] = member.name
    known = {member.name: member.run.config for member in members if member.run is not None}
    check_alike(known)


def check_alike(configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse members that answer other questions, or are shown other pictures than the first one.

    Mean and standard deviation may differ: each network normalises for itself.

    Args:
        configs: The resolved configuration of each, by its name.

    Raises:
        Mistake: They are of different tasks, or see images in different ways.
    """
    names = list(configs)
    for name in names[1:]:
        first, other = _question(configs[names[0]]), _question(configs[name])
        if first["task"] != other["task"]:
            raise Mistake(
                f"{names[0]} is of task={first['task']} and {name} of task={other['task']}; "
                "join runs of one task"
            )
        for key in sorted({*first, *other}):
            if first.get(key) != other.get(key):
                raise Mistake(
                    f"{names[0]} and {name} are shown other pictures: {key} is {first.get(key)} for one and "
                    f"{other.get(key)} for the other; join runs of the same transforms, data.image_size and "
                    f"data.channels{_OF_PAINTERS if first['task'] == PAINTS else ''}"
                )


def _question(config: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same for all: the task, and how an image is read that is measured."""
    data = config["data"]
    recipe = (data.get("transforms") or config.get("transforms") or {}).get("eval") or {}
    of_data = {"data.channels": data["channels"]} if "channels" in data else {}
    task = config["choices"]["task"]
    painted = _painted(config) if task == PAINTS else {}
    return {"task": task, **of_data, **painted, **dict(_flat(recipe, "transforms.eval"))}


def _painted(config: Mapping[str, Any]) -> dict[str, Any]:
    """What painters must share: the picture, where there is only one, and how many styles they learnt."""
    content = {} if paints_others(config) else {"data.content": config["data"].get("content")}
    styles = {} if needs_style(config) else {"number of styles": len(style_list(config["data"].get("style")))}
    return {**content, **styles}


def _flat(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _flat(value, f"{path}.{key}")
    else:
        yield path, node
