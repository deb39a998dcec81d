"""Optimisers and learning-rate schedules by name, built anew for each phase.

A scheduler or an Adam state that outlives the boundary between phases is the classic bug:
Plateau's counters cut the new rate, one-cycle overwrites it.
"""

import math
from collections.abc import Callable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    LambdaLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
)

from transfer.config.schema import (
    AdamConfig,
    AdamWConfig,
    CosineConfig,
    OneCycleConfig,
    OptimizerConfig,
    PlateauConfig,
    ScheduleConfig,
    SgdConfig,
)
from transfer.training.parameter_groups import parameter_groups
from transfer.training.phases import Phase


def build_optimizer(model: nn.Module, phase: Phase, config: OptimizerConfig) -> Optimizer:
    """An optimiser over what `phase` trains, in groups, the head's first. Of `model`, what does not
    train needs no gradient from now on."""
    groups = parameter_groups(model, phase, config)
    trained = {id(parameter) for group in groups for parameter in group["params"]}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in trained)
        # A gradient left from before would outlive the phase and keep its memory.
        parameter.grad = None
    if isinstance(config, AdamConfig):
        kind: type[Adam | AdamW] = AdamW if isinstance(config, AdamWConfig) else Adam
        betas = (config.betas[0], config.betas[1])
        return kind(groups, betas=betas, weight_decay=config.weight_decay, fused=True)
    assert isinstance(config, SgdConfig)
    return SGD(
        groups,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        fused=True,
    )


def learning_rates(optimizer: Optimizer) -> tuple[float, float]:
    """The present rates of the head and of the backbone, the largest of its groups'; 0 where it is
    frozen."""

    def largest(part: str) -> float:
        groups = optimizer.param_groups
        return max((group["lr"] for group in groups if group["part"] == part), default=0.0)

    return largest("head"), largest("backbone")


class Schedule:
    """The learning rates of one phase: plateau moves them by epoch, every other by iteration.

    Args:
        optimizer: whose groups' rates are moved; their present rates are the schedule's own.
        phase: gives the number of epochs.
        iterations: training batches an epoch.

    Attributes:
        scheduler: torch's own.
    """

    def __init__(
        self, optimizer: Optimizer, phase: Phase, iterations: int, config: ScheduleConfig
    ) -> None:
        self.scheduler: LRScheduler
        if isinstance(config, PlateauConfig):
            factor, patience = config.factor, config.patience
            self.scheduler = ReduceLROnPlateau(optimizer, factor=factor, patience=patience)
        elif isinstance(config, OneCycleConfig):
            self.scheduler = _one_cycle(optimizer, phase.epochs * iterations, config)
        elif isinstance(config, CosineConfig):
            self.scheduler = _cosine(optimizer, phase.epochs, iterations, config)
        else:
            self.scheduler = ConstantLR(optimizer, factor=1)

    def after_iteration(self) -> None:
        if not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()

    def after_epoch(self, validation_loss: float) -> None:
        """Go on to the next epoch, by the loss as `steering_loss` gives it."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(validation_loss)


def _one_cycle(optimizer: Optimizer, steps: int, config: OneCycleConfig) -> OneCycleLR:
    # One more than the steps taken: the scheduler also counts the step after the last.
    total, rise = steps + 1, config.pct_start
    if math.isclose(rise * total, 1):
        # The rise would end on its first step, and torch divide by its length of zero.
        rise = 1.001 / total
    return OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=total,
        pct_start=rise,
        div_factor=config.div_factor,
        final_div_factor=config.final_div_factor,
        # Adam's betas and SGD's momentum stay as configured.
        cycle_momentum=False,
    )


def _cosine(optimizer: Optimizer, epochs: int, iterations: int, config: CosineConfig) -> LambdaLR:
    steps = epochs * iterations
    warmup = min(round(config.warmup_epochs * iterations), steps // 2)
    return LambdaLR(optimizer, _cosine_factor(warmup, steps, config.end_fraction))


def _cosine_factor(warmup: int, steps: int, end: float) -> Callable[[int], float]:
    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min((step - warmup) / max(steps - warmup, 1), 1.0)
        return end + (1 - end) * (1 + math.cos(math.pi * progress)) / 2

    return factor
