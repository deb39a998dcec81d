"""Trainings of about a second, on fifty digits, by the words of a command line."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.conftest import TINY, config_of
from transfer.job import prepare
from transfer.training.epoch import Epoch
from transfer.training.trainer import Trainer


def trainer_of(*overrides: str) -> Trainer:
    """A trainer before its first epoch, of MobileNetV3-small unless another is named."""
    job = prepare(config_of("model=mobilenet_v3_small", *TINY, *overrides))
    return Trainer(job.model(), job.data, job.config, job.device, job.normalization)


def train(*overrides: str) -> tuple[Trainer, list[Epoch], dict[str, Tensor]]:
    """The trainer after its last epoch, its epochs, and the weights before."""
    trainer = trainer_of(*overrides)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    return trainer, list(trainer.epochs()), before


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Names of parameters and buffers that are not bit for bit what they were."""
    return {name for name in before if not torch.equal(before[name], after[name])}
