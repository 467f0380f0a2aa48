"""The rows that verification answers with: encodings, and how far two pictures are apart."""

import math
from typing import Any

import torch
from torch import Tensor

from pipeline.served.exchange import refuse_broken
from pipeline.served.question import Question, Row
from pipeline.work.verifying import calibrated_threshold, encode


def compared(question: Question) -> list[Row]:
    """A row for each picture; with a distance where another one stands beside it.

    Raises:
        ValueError: If a row holds no picture.
    """
    files, others = question.pictures("image"), question.pictures("other")
    encoded = encode(
        question.trained,
        [*files.values(), *others.values()],
        batch_size=None,
        num_workers=0,
        accelerator=question.accelerator,
        doing="comparing",
    )
    refuse_broken(encoded.broken, files=files, column="image")
    refuse_broken(encoded.broken, files=others, column="other")
    embeddings = torch.from_numpy(encoded.encodings)
    of_images, of_others = embeddings[: len(files)], embeddings[len(files) :]
    distances = _distances(of_images[list(others)], of_others, task=question.trained.task)
    verdicts = dict(zip(others, (_verdict(each, question) for each in distances), strict=True))
    unknown = {"distance": None, "same": None} if others else {}
    return [
        {"embedding": values, **verdicts.get(row, unknown)} for row, values in enumerate(of_images.tolist())
    ]


def _distances(a: Tensor, b: Tensor, *, task: Any) -> list[float]:
    if not len(a):
        return []
    with torch.inference_mode():
        return [float(each) for each in task.pair_distances(a.to(task.device), b.to(task.device))]


def _verdict(distance: float, question: Question) -> Row:
    threshold = calibrated_threshold(question.trained)
    is_known = math.isfinite(threshold)  # else it was never calibrated
    return {"distance": distance, "same": distance <= threshold if is_known else None}
