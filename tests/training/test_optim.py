"""Optimisers and schedules by name, and the rates they give."""

from __future__ import annotations

import pytest
import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

from tests.conftest import config_of
from transfer.models.families import build_model
from transfer.training.optim import Schedule, build_optimizer, learning_rates
from transfer.training.phases import plan_phases

ITERATIONS = 10


def _rates(*overrides: str, losses: list[float] | None = None) -> list[float]:
    """The head's rate before each iteration of a four-epoch phase, all of it unfrozen."""
    config = config_of("epochs=4", "freeze_epochs=0", "optimizer.lr=1.0", *overrides)
    optimizer = SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 1.0}])
    [phase] = plan_phases(config)
    schedule = Schedule(optimizer, phase, ITERATIONS, config.schedule)
    rates = []
    for epoch in range(4):
        for _ in range(ITERATIONS):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.after_iteration()
        schedule.after_epoch(losses[epoch] if losses else 1.0)
    return rates


@pytest.mark.parametrize(
    ("name", "kind", "rate"), [("adam", Adam, 1e-3), ("adamw", AdamW, 1e-3), ("sgd", SGD, 1e-2)]
)
def test_by_name(name: str, kind: type[Optimizer], rate: float) -> None:
    config = config_of(f"optimizer={name}", "epochs=2", "freeze_epochs=0")
    [phase] = plan_phases(config)
    optimizer = build_optimizer(build_model("simple_cnn", 10, 32), phase, config.optimizer)
    assert type(optimizer) is kind
    assert {group["lr"] for group in optimizer.param_groups} == {rate}
    assert optimizer.param_groups[0]["weight_decay"] == config.optimizer.weight_decay
    assert learning_rates(optimizer) == (rate, rate)


def test_constant() -> None:
    assert set(_rates("schedule=constant")) == {1.0}


def test_plateau_cuts_after_patience_epochs_without_improvement() -> None:
    rates = _rates("schedule=plateau", "schedule.patience=1", losses=[1.0, 1.1, 1.2, 1.3])
    assert rates[::ITERATIONS] == [1.0, 1.0, 1.0, 0.5]


@pytest.mark.parametrize("pct_start", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("iterations", [1, 2, 3, 4, 9, 19])
def test_one_cycle_fits_any_number_of_steps(iterations: int, pct_start: float) -> None:
    words = ("schedule=one_cycle", f"schedule.pct_start={pct_start}")
    config = config_of("epochs=1", "freeze_epochs=0", *words)
    optimizer = SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 1.0}])
    [phase] = plan_phases(config)
    schedule = Schedule(optimizer, phase, iterations, config.schedule)
    for _ in range(iterations):
        assert 0 < optimizer.param_groups[0]["lr"] <= 1
        optimizer.step()
        schedule.after_iteration()


def test_one_cycle_rises_and_falls() -> None:
    rates = _rates("schedule=one_cycle", "schedule.div_factor=10")
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert 10 <= rates.index(max(rates)) <= 14
    assert rates[-1] < 0.01


def test_cosine_warms_up_and_falls_to_its_end() -> None:
    rates = _rates("schedule=cosine", "schedule.warmup_epochs=1", "schedule.end_fraction=0.1")
    assert rates[:10] == sorted(rates[:10])
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
