"""A phase under way: what is trained in it, and with which optimiser and schedule."""

from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

from transfer.features.stored import StoredFeatures
from transfer.training.batch_pass import BatchPass
from transfer.training.optim import Schedule
from transfer.training.phases import Phase
from transfer.training.step import TrainingStep


@dataclass(frozen=True)
class TrainedPart:
    """What a phase trains: the model on images, or its last part on stored features.

    Attributes:
        network: gives logits.
        features: what `network` reads; None where it reads images.
    """

    network: nn.Module
    features: StoredFeatures | None


@dataclass(frozen=True)
class PhaseTraining:
    """A phase under way; none of this outlives it.

    Attributes:
        phase: its epochs and rates.
        part: what it trains.
        optimizer, schedule: its own.
        batch_pass: from a batch to its loss.
        step: a pass forward and back, and the update.
    """

    phase: Phase
    part: TrainedPart
    optimizer: Optimizer
    schedule: Schedule
    batch_pass: BatchPass
    step: TrainingStep
