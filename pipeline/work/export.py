"""Writes a trained network to one file, and runs it there to see that it answers as before."""

import os
from pathlib import Path
from typing import Any, Literal

from pipeline.compose import Composed
from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.export_paths import ENDINGS, check_output, facts_path
from pipeline.work.export_check import Checked, check
from pipeline.work.export_facts import facts_of, tell, write_facts
from pipeline.work.export_files import Shape, write
from pipeline.work.loading import Trained, load_trained


def run(
    *,
    composed: Composed,
    run: str = "latest",
    checkpoint: str | None = None,
    task_name: str | None = None,
    format: Literal["onnx", "torch"] = "onnx",
    output: str | None = None,
    overwrite: bool = False,
    image_size: int | None = None,
    batch: int | Literal["dynamic"] = "dynamic",
) -> int:
    """Export a run's kept weights, or a checkpoint file.

    Args:
        composed: The whole configuration.
        run: `latest`, a run id, or the beginning of one.
        checkpoint: A checkpoint file instead of a run.
        task_name: The latest run of this task; typed as `task=`.
        format: `onnx`, or `torch` for `torch.export`.
        output: File ending in .onnx or .pt2; None: the run's exports/ folder.
        overwrite: Whether the file may be there already.
        image_size: Height and width of what goes in; None: any where the network takes any, else as trained.
        batch: Images at a time.

    Returns:
        The exit code, 0.
    """
    with console.status("[1/3] loading"):
        trained = load_trained(root=composed.root, run=run, checkpoint=checkpoint, task=task_name)
        task: Any = trained.task
    _refuse_several(trained)
    exported = task.exported()
    name = trained.config["choices"]["model"]
    _check_format(exported, name=name, format=format)
    path = check_output(
        output or trained.folder / "exports" / f"{name}{ENDINGS[format]}", format=format, overwrite=overwrite
    )
    shape = Shape.of(
        exported, image_size=image_size, trained_size=task.image_size, batch=batch, format=format
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    checked, facts = _export(trained, exported, shape=shape, path=path, format=format)
    tell(facts, checked=checked, path=path)
    return 0


def _export(
    trained: Trained, exported: Any, *, shape: Shape, path: Path, format: str
) -> tuple[Checked, dict[str, Any]]:
    """Write under another name first, so that a file that answers otherwise never has the right one."""
    name = trained.config["choices"]["model"]
    draft = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    facts = facts_of(trained, exported, shape=shape, format=format)
    try:
        with console.status(f"[2/3] writing {format}; large networks take minutes"):
            write(exported, draft, shape=shape, format=format, facts=facts, model=name)
        checked = check(trained, exported, draft, shape=shape, format=format)
        checked.require(exported.tolerance, model=name, format=format)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    facts |= {"checked": checked.facts(exported.tolerance)}
    write_facts(facts, facts_path(path))
    return checked, facts


def _refuse_several(trained: Trained) -> None:
    task: Any = trained.task
    if len(task.members):
        raise Mistake(
            f"run={trained.run_id[:8]} is an ensemble of {1 + len(task.members)} networks, and make export "
            "writes one; export its members, and take the mean of what they say"
        )


def _check_format(exported: Any, *, name: str, format: str) -> None:
    if format not in exported.formats:
        others = " or ".join(f"format={other}" for other in exported.formats)
        raise Mistake(
            f"format={format}: model={name} has as many answers as there are objects, which this format "
            f"cannot hold; choose {others}"
        )
