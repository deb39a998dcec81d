"""The training loop, and its state on disk."""

from __future__ import annotations

from transfer.fit.checkpoint import Checkpoints
from transfer.fit.epoch import Epoch, TrainingDivergedError
from transfer.fit.trainer import Trainer, seed_everything

__all__ = ["Checkpoints", "Epoch", "Trainer", "TrainingDivergedError", "seed_everything"]
