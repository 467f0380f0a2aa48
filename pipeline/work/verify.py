"""Says whether two images show the same."""

import json
import math
from pathlib import Path
from typing import Any, Literal

import torch
from rich.box import ROUNDED
from rich.markup import escape
from rich.panel import Panel

from pipeline.compose import Composed
from pipeline.console import console
from pipeline.errors import Mistake
from pipeline.image_files import image_file
from pipeline.panels import shown_path
from pipeline.work.loading import Trained
from pipeline.work.verifying import (
    calibrated_threshold,
    encode,
    load_verifier,
    model_id,
    probability,
    threshold_of,
)


def run(
    *,
    composed: Composed,
    a: str,
    b: str,
    run: str = "latest",
    checkpoint: str | None = None,
    task_name: str | None = None,
    threshold: float | None = None,
    output: str | None = None,
    accelerator: Literal["auto", "cpu", "gpu", "cuda"] = "auto",
) -> int:
    """Compare two images, by a run's kept weights or a checkpoint file.

    Args:
        composed: The whole configuration.
        a: An image file.
        b: Another one.
        run: `latest`, a run id, or the beginning of one.
        checkpoint: A checkpoint file instead of a run.
        task_name: The task whose latest run is meant; typed as `task=`.
        threshold: Distance up to which two images are taken for the same; None: as validation calibrated it.
        output: JSON file for the answer; None writes none.
        accelerator: Lightning's name of the device; `cpu`, `gpu` or `auto`.

    Returns:
        0, whatever the answer.
    """
    files = {key: image_file(key, given) for key, given in (("a", a), ("b", b))}
    target = _target(output)
    trained = load_verifier(root=composed.root, run=run, checkpoint=checkpoint, task=task_name)
    limit = threshold_of(trained, given=threshold)
    distance = _distance(trained, files, accelerator=accelerator)
    answer = {
        **{key: str(path) for key, path in files.items()},
        "same": distance <= limit,
        "distance": distance,
        "threshold": limit,
        "probability": _plain(probability(trained, distance)),
        "calibrated_threshold": _plain(calibrated_threshold(trained)),
        "run_id": trained.run_id,
        "model": model_id(trained.task),
    }
    _tell(answer)
    if target is not None:
        target.write_text(json.dumps(answer, indent=1, ensure_ascii=False), encoding="utf-8")
        console.print(f"answer  {escape(shown_path(target))}", soft_wrap=True)
    return 0


def _target(output: str | None) -> Path | None:
    if output is None:
        return None
    path = Path(output).expanduser()
    if path.suffix != ".json":
        raise Mistake(f"output={output}: the answer is written as JSON; give a name that ends in .json")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _distance(trained: Trained, files: dict[str, Path], *, accelerator: str) -> float:
    encoded = encode(
        trained, list(files.values()), batch_size=2, num_workers=0, accelerator=accelerator, doing="comparing"
    )
    for key, path in files.items():
        if path in encoded.broken:
            raise Mistake(f"{key}={path}: {encoded.broken[path]}; give another image")
    task: Any = trained.task
    both = torch.from_numpy(encoded.encodings).to(task.device)
    with torch.inference_mode():
        return float(task.pair_distances(both[:1], both[1:])[0])


def _plain(number: float) -> float | None:
    """NaN is no JSON."""
    return number if math.isfinite(number) else None


def _certain(answer: dict[str, Any]) -> str:
    certain, calibrated = answer["probability"], answer["calibrated_threshold"]
    if certain is None:
        return "no probability: the network was never calibrated"
    # A threshold that was typed has another meaning than what was learnt from the validation pairs.
    other = answer["threshold"] != calibrated
    return f"P(same) = {certain:.1%}" + (
        f", which belongs to the calibrated threshold of {calibrated:.4f}" if other else ""
    )


def _tell(answer: dict[str, Any]) -> None:
    same = answer["same"]
    sign = "at most" if same else "above"
    lines = [
        f"{escape(answer['a'])}",
        f"{escape(answer['b'])}",
        f"distance {answer['distance']:.4f}, {sign} the threshold of {answer['threshold']:.4f}",
        _certain(answer),
    ]
    console.print(
        Panel(
            "\n".join(lines),
            title=f"[bold]{'yes, the same' if same else 'no, not the same'}[/]",
            title_align="left",
            box=ROUNDED,
            border_style="green" if same else "red",
        )
    )
