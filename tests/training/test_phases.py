"""The freeze schedule: who trains when, at which rate."""

from __future__ import annotations

import torch

from tests.conftest import config_of
from transfer.config.schema import AdamConfig
from transfer.models.families import build_model
from transfer.models.head import backbone_parameters, head_parameters
from transfer.training.optim import build_optimizer
from transfer.training.phases import Phase, plan_phases, set_training_mode


def _plan(*overrides: str) -> list[Phase]:
    return plan_phases(config_of(*overrides))


def test_frozen_then_everything() -> None:
    rates = ("optimizer.lr=1e-4", "optimizer.backbone_lr_scale=0.1")
    frozen, rest = _plan("epochs=40", "freeze_epochs=5", *rates)
    assert (frozen.first_epoch, frozen.last_epoch, frozen.head_alone) == (1, 5, True)
    assert (frozen.head_lr, frozen.backbone_lr) == (1e-3, 0)
    assert (rest.first_epoch, rest.last_epoch, rest.head_alone) == (6, 40, False)
    assert (rest.head_lr, rest.backbone_lr) == (1e-4, 1e-5)


def test_without_frozen_epochs_lr_is_the_rate_of_all() -> None:
    [only] = _plan("epochs=3", "freeze_epochs=0", "optimizer.lr=1e-4")
    assert (only.first_epoch, only.last_epoch, only.head_alone, only.head_lr) == (1, 3, False, 1e-4)


def test_frozen_to_the_end() -> None:
    [only] = _plan("epochs=3", "freeze_epochs=3")
    assert (only.first_epoch, only.last_epoch, only.head_alone) == (1, 3, True)


def test_frozen_parameters_are_in_no_group() -> None:
    model = build_model("mobilenet_v3_small", 10, 32)
    frozen, rest = _plan("freeze_epochs=1")
    adam = AdamConfig()
    head = build_optimizer(model, frozen, adam).param_groups
    in_head = [parameter for group in head for parameter in group["params"]]
    assert set(in_head) == set(head_parameters(model)) and len(in_head) == 4
    assert not any(parameter.requires_grad for parameter in backbone_parameters(model))
    groups = build_optimizer(model, rest, adam).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_frozen_backbone_is_in_evaluation_mode() -> None:
    model = build_model("mobilenet_v3_small", 10, 32)
    frozen, rest = _plan("freeze_epochs=1")
    set_training_mode(model, frozen)
    norms = [each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    dropouts = [each for each in model.modules() if isinstance(each, torch.nn.Dropout)]
    assert not any(norm.training for norm in norms)
    assert all(dropout.training for dropout in dropouts)
    set_training_mode(model, rest)
    assert all(norm.training for norm in norms)
