"""The rows that classification, detection and segmentation answer with, as `make predict` finds them."""

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from pipeline.served.exchange import file_text, refuse_broken
from pipeline.served.question import Question, Row
from pipeline.work.inference import Answer, answers, device_named
from pipeline.work.masks import class_masks, write_mask


def predicted(question: Question) -> list[Row]:
    """A row for each picture.

    Raises:
        ValueError: If a row holds no picture.
    """
    files = question.pictures("image")
    found = answers(
        question.trained,
        list(files.values()),
        batch_size=None,
        num_workers=0,
        device=device_named(question.accelerator),
        doing="predicting",
    )
    told: list[Row] = []
    with closing(found):  # its progress bar too, before anybody reads of a broken picture
        for answer in found:
            broken = {path: error for path, error in zip(answer.files, answer.errors, strict=True) if error}
            refuse_broken(broken, files=files, column="image")
            told += _told(answer, question=question)
    return told


def _told(answer: Answer, *, question: Question) -> list[Row]:
    """Whose answer it is, is told by what the task can do."""
    task: Any = question.trained.task
    masks = class_masks(task, answer.output, count=len(answer.files))
    rows = task.rows(answer.output)
    path, told = question.folder / "mask.png", []
    for found, mask in zip(rows, masks, strict=True):
        if mask is not None:
            write_mask(mask, path)
            told.append({"mask": file_text(path), "class_names": list(mask.names)})
        elif hasattr(task, "json_records"):
            told.append(_objects(found, task=task, min_score=question.min_score))
        else:
            told.append(_labelled(found[0], names=task.class_names))
    return told


def _labelled(found: Row, *, names: Sequence[str]) -> Row:
    scores = {name: found[f"probability_{name}"] for name in names}
    return {"label": found["label"], "score": found["probability"], "scores": scores}


def _objects(found: Sequence[Row], *, task: Any, min_score: float) -> Row:
    sure = [row for row in found if row["score"] >= min_score]
    told: Row = {
        "boxes": [[row[side] for side in ("x1", "y1", "x2", "y2")] for row in sure],
        "labels": [row["label"] for row in sure],
        "scores": [row["score"] for row in sure],
    }
    masks = {"masks": [json.loads(row["segmentation"]) for row in sure]} if task.model.predicts_masks else {}
    return told | masks
