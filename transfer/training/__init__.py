"""The training loop, and its state on disk."""

from __future__ import annotations

from transfer.training.checkpoint import Checkpoints, saved_when_interrupted
from transfer.training.epoch import Epoch, TrainingDivergedError
from transfer.training.summary import summary_metrics
from transfer.training.trainer import Trainer

__all__ = [
    "Checkpoints",
    "Epoch",
    "Trainer",
    "TrainingDivergedError",
    "saved_when_interrupted",
    "summary_metrics",
]
