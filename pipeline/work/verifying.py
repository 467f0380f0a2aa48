"""A network that says whether two images show the same: loaded, named, and asked for encodings."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.errors import Mistake
from pipeline.work.gallery import Encodings
from pipeline.work.inference import answers, device_named
from pipeline.work.loading import Trained, load_trained
from pipeline.work.search import Compares

_CALIBRATED = ("threshold", "calibration", "false_accept_rate")
"""Buffers of the task that are measured anew without a change of any encoding."""


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Files with their encodings.

    Attributes:
        files: N files that could be read.
        encodings: float32 (N, D).
        broken: What is wrong with the others.
    """

    files: list[Path]
    encodings: Encodings
    broken: dict[Path, str]


def load_verifier(*, root: Path, run: str, checkpoint: str | None, task: str | None) -> Trained:
    """Load the network that a person names; see `load_trained`.

    Raises:
        Mistake: No such run or file, or one whose task does not compare images.
    """
    # A checkpoint is of the task that it is of: what to do is said below.
    of_task = None if checkpoint else task
    trained = load_trained(root=root, run=run, checkpoint=checkpoint, task=of_task)
    if not isinstance(trained.task, Compares):
        named = f"checkpoint={checkpoint}" if checkpoint else f"run={trained.run_id[:8]}"
        raise Mistake(
            f"{named} is of task={trained.config['choices']['task']}, which does not compare images; take a "
            "run of task=verification (run=latest is the latest of them)"
        )
    return trained


def model_id(task: Any) -> str:
    """What tells a network from every other: 16 hex digits over the names and bytes of its state.

    What is calibrated is left out: encodings do not depend on it.
    """
    digest = hashlib.sha256()
    for name, value in sorted(task.state_dict().items()):
        if name not in _CALIBRATED:
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def is_euclidean(trained: Trained) -> bool:
    """Whether a network's distance is the Euclidean one."""
    return bool(getattr(trained.task.model, "is_euclidean", False))


def calibrated_threshold(trained: Trained) -> float:
    """The distance up to which two images are the same by the validation pairs; nan before there were any."""
    return float(trained.task.threshold)  # type: ignore[arg-type]  # a buffer of one number


def strangers_taken(trained: Trained, *, identities: int, threshold: float) -> float:
    """The share of strangers that are taken for somebody, if comparisons with each are independent.

    Args:
        trained: The network.
        identities: How many each stranger is compared with.
        threshold: The one that is judged by.

    Returns:
        1 - (1 - FAR)^identities, with the false accepts among the validation pairs; nan where they are not
        known, as of a threshold that a person typed.
    """
    rate = float(trained.task.false_accept_rate)  # type: ignore[arg-type]  # a buffer of one number
    if threshold != calibrated_threshold(trained):
        return math.nan
    return float(1 - (1 - rate) ** identities)


def threshold_of(trained: Trained, *, given: float | None) -> float:
    """The distance up to which two images are taken for the same.

    Args:
        trained: The network.
        given: What a person typed as `threshold=`; None: the one that validation calibrated.

    Raises:
        Mistake: It is no distance, or there is none.
    """
    if given is None:
        calibrated = calibrated_threshold(trained)
        if not math.isfinite(calibrated):
            raise Mistake(
                f"checkpoint={trained.path} has no calibrated threshold, because it was saved before any "
                "validation; give threshold=NUMBER, or take a checkpoint of after it"
            )
        return calibrated
    if not math.isfinite(given) or (is_euclidean(trained) and given < 0):
        raise Mistake(
            f"threshold={given} is no distance that two images can have; leave it out for the calibrated one"
        )
    return given


def probability(trained: Trained, distance: float) -> float:
    """Probability in [0, 1] that two images this far apart show the same; nan without calibration."""
    task: Any = trained.task
    with torch.inference_mode():
        return float(task.probabilities(torch.tensor([distance], device=task.device))[0])


def encode(
    trained: Trained,
    files: Sequence[Path],
    *,
    batch_size: int | None,
    num_workers: int,
    accelerator: str,
    doing: str,
) -> Encoded:
    """Ask a network for the encodings of image files; see `answers`.

    Raises:
        Mistake: An encoding is not a number.
    """
    given = answers(
        trained,
        files,
        batch_size=batch_size,
        num_workers=num_workers,
        device=device_named(accelerator),
        doing=doing,
    )
    broken: dict[Path, str] = {}
    read: list[Path] = []
    rows: list[Encodings] = []
    for answer in given:
        broken |= {path: error for path, error in zip(answer.files, answer.errors, strict=True) if error}
        whole = [place for place, error in enumerate(answer.errors) if not error]
        read += [answer.files[place] for place in whole]
        rows.append(answer.output["embedding"].float().cpu().numpy()[whole])
    encodings = np.concatenate(rows)
    _check_finite(encodings, read, trained)
    return Encoded(files=read, encodings=encodings, broken=broken)


def _check_finite(encodings: Encodings, files: Sequence[Path], trained: Trained) -> None:
    wrong = np.flatnonzero(~np.isfinite(encodings).all(axis=1))
    if wrong.size:
        raise Mistake(
            f"run {trained.run_id[:8]} answers with nan or infinity for {len(wrong)} of {len(files)} images "
            f"({files[wrong[0]].name}, ...): its training has diverged; take another run"
        )
