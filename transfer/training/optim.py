"""Optimisers and learning-rate schedules by name, built anew for each phase.

A scheduler or an Adam state that outlives the boundary between phases is the classic bug:
Plateau's counters cut the new rate, one-cycle overwrites it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

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
from transfer.training.phases import Phase, parameter_groups


def build_optimizer(model: nn.Module, phase: Phase, config: OptimizerConfig) -> Optimizer:
    """An optimiser over what `phase` trains; freezes the rest of `model`."""
    groups = cast(list[dict[str, Any]], parameter_groups(model, phase))
    if isinstance(config, AdamConfig):
        kind: type[Adam] | type[AdamW] = AdamW if isinstance(config, AdamWConfig) else Adam
        betas = (config.betas[0], config.betas[1])
        return kind(groups, betas=betas, weight_decay=config.weight_decay, fused=True)
    assert isinstance(config, SgdConfig)
    return SGD(
        groups,
        lr=phase.head_lr,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        fused=True,
    )


class Schedule:
    """The learning rates of one phase; some schedules move by iteration, plateau by epoch.

    Args:
        optimizer: whose groups' rates are moved; their present rates are the schedule's own.
        phase: gives the number of epochs.
        iterations: training batches an epoch.
    """

    def __init__(
        self, optimizer: Optimizer, phase: Phase, iterations: int, config: ScheduleConfig
    ) -> None:
        self._by_epoch: ReduceLROnPlateau | None = None
        self._by_iteration: LRScheduler | None = None
        if isinstance(config, PlateauConfig):
            self._by_epoch = ReduceLROnPlateau(
                optimizer, factor=config.factor, patience=config.patience
            )
        elif isinstance(config, OneCycleConfig):
            self._by_iteration = _one_cycle(optimizer, phase.epochs * iterations, config)
        elif isinstance(config, CosineConfig):
            self._by_iteration = _cosine(optimizer, phase.epochs, iterations, config)

    def after_iteration(self) -> None:
        if self._by_iteration is not None:
            self._by_iteration.step()

    def after_epoch(self, validation_loss: float) -> None:
        if self._by_epoch is not None:
            self._by_epoch.step(validation_loss)

    def state_dict(self) -> dict[str, Any]:
        scheduler = self._by_epoch or self._by_iteration
        return scheduler.state_dict() if scheduler is not None else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        scheduler = self._by_epoch or self._by_iteration
        if scheduler is not None:
            scheduler.load_state_dict(state)


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
