"""The freeze schedule: from which epoch to which, which parameters train, at which rate.

Frozen means frozen. A frozen backbone's parameters are in no optimiser, and its BatchNorm
layers are in evaluation mode, so that their running statistics stay as they are too; turning
off `requires_grad` alone would let the statistics drift towards the new images.
"""

from dataclasses import dataclass

from torch import nn

from transfer.config import Config
from transfer.models.head import head_of


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs that one optimiser and one schedule serve.

    Attributes:
        first_epoch, last_epoch: both included; the first epoch of a run is 1.
        frozen: whether the backbone stays as it is.
        head_lr, backbone_lr: learning rates at the start; backbone_lr is 0 where frozen.
    """

    first_epoch: int
    last_epoch: int
    frozen: bool
    head_lr: float
    backbone_lr: float

    @property
    def epochs(self) -> int:
        return self.last_epoch - self.first_epoch + 1


def plan_phases(config: Config) -> list[Phase]:
    """One phase, or two: the head alone for `freeze_epochs`, then everything to the last epoch."""
    frozen, rates = config.freeze_epochs, config.optimizer
    backbone_lr = rates.lr * rates.backbone_lr_scale
    phases = [
        Phase(1, frozen, frozen=True, head_lr=rates.head_lr, backbone_lr=0),
        Phase(frozen + 1, config.epochs, frozen=False, head_lr=rates.lr, backbone_lr=backbone_lr),
    ]
    return [phase for phase in phases if phase.epochs > 0]


def set_training_mode(model: nn.Module, phase: Phase, frozen_batchnorm: str = "fixed") -> None:
    """Training mode for what trains. Call again after every evaluation: `train()` is recursive.

    Args:
        frozen_batchnorm: "drifting" lets a frozen backbone's running statistics follow the images.
    """
    model.train()
    if phase.frozen and frozen_batchnorm == "fixed":
        head = head_of(model)
        for child in model.children():
            child.train(child is head)
