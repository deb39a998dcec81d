"""Which device these tests are for: the first GPU.

`GPU_TESTS_ON=cpu python -m pytest tests/gpu` tries the tests themselves where there is none.
"""

from __future__ import annotations

import os

from tests.trainings import trainer_of
from transfer.training.trainer import Trainer

DEVICE = os.environ.get("GPU_TESTS_ON", "cuda")
# What a GPU adds up in another order, in float32 (TF32 is off by torch's default for products).
CLOSE = {"float32": 1e-3, "bfloat16": 0.05}
LEARNING = ("data.train_per_class=40", "batch_size=50", "epochs=4", "freeze_epochs=1")


def on_device(*overrides: str) -> Trainer:
    """A trainer before its first epoch, on the device of these tests, of a training that learns
    something."""
    return trainer_of(*LEARNING, f"device={DEVICE}", *overrides)
