"""The freeze schedule: from which epoch to which, which parameters train, at which rate.

Frozen means frozen. The parameters of a frozen stage are in no optimiser, and its BatchNorm
layers are in evaluation mode, so that their running statistics stay as they are too; turning
off `requires_grad` alone would let the statistics drift towards the new images.
"""

from dataclasses import dataclass

from torch import nn

from transfer.config import Config
from transfer.config.tune import head_epochs
from transfer.models.tuned import train_but_frozen


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs that one optimiser and one schedule serve.

    Attributes:
        first_epoch, last_epoch: both included; the first epoch of a run is 1.
        tune: what trains, in the words of the key.
        head_lr, backbone_lr: learning rates at the start; backbone_lr is 0 where the head trains
            alone.
    """

    first_epoch: int
    last_epoch: int
    tune: str
    head_lr: float
    backbone_lr: float

    @property
    def epochs(self) -> int:
        return self.last_epoch - self.first_epoch + 1

    @property
    def head_alone(self) -> bool:
        """Whether the head trains alone."""
        return self.tune == "head"


def plan_phases(config: Config) -> list[Phase]:
    """One phase, or two: the head alone for `freeze_epochs`, then what `tune` names to the last
    epoch."""
    alone, rates = head_epochs(config), config.optimizer
    backbone_lr = rates.lr * rates.backbone_lr_scale
    phases = [
        Phase(1, alone, tune="head", head_lr=rates.head_lr, backbone_lr=0),
        Phase(alone + 1, config.epochs, config.tune, head_lr=rates.lr, backbone_lr=backbone_lr),
    ]
    return [phase for phase in phases if phase.epochs > 0]


def set_training_mode(model: nn.Module, phase: Phase, frozen_batchnorm: str = "fixed") -> None:
    """Training mode for what trains. Call again after every evaluation: `train()` is recursive.

    Args:
        frozen_batchnorm: "drifting" lets running statistics of what is frozen follow the images.
    """
    if frozen_batchnorm == "fixed":
        train_but_frozen(model, phase.tune)
    else:
        model.train()
