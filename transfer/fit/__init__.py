"""The training loop, and its state on disk."""

from __future__ import annotations

from transfer.fit.checkpoint import Checkpoints, saved_when_interrupted
from transfer.fit.epoch import Epoch, TrainingDivergedError
from transfer.fit.trainer import Trainer, seed_everything

__all__ = [
    "Checkpoints",
    "Epoch",
    "Trainer",
    "TrainingDivergedError",
    "saved_when_interrupted",
    "seed_everything",
]
