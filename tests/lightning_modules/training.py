"""Trainers for tests: on the CPU, silent, writing nothing."""

from typing import Any

from pytorch_lightning import Trainer


def quiet_trainer(**options: Any) -> Trainer:
    """A trainer that only trains."""
    silent: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    return Trainer(**(silent | options))
