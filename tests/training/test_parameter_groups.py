"""Groups of parameters: each once, at its rate, with weight decay where it belongs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.conftest import config_of
from transfer.models.families import build_model, family_of
from transfer.models.head import head_name
from transfer.training.optim import Schedule, build_optimizer, learning_rates
from transfer.training.parameter_groups import parameter_groups, undecayed_parameters
from transfer.training.phases import plan_phases

MODELS = ("simple_cnn", "resnet18", "mobilenet_v3_small", "convnext_tiny", "vit_b_32", "swin_t")


def _groups(name: str, *overrides: str) -> tuple[nn.Module, list[dict[str, Any]]]:
    """The groups of the last phase, of a model on the meta device."""
    config = config_of("optimizer=adamw", *overrides)
    with torch.device("meta"):
        model = build_model(name, 3, 64)
    return model, parameter_groups(model, plan_phases(config)[-1], config.optimizer)


def _names(model: nn.Module, groups: list[dict[str, Any]]) -> list[str]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(parameter)] for group in groups for parameter in group["params"]]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("decay_norms", [False, True])
def test_every_parameter_is_in_one_group(name: str, decay_norms: bool) -> None:
    model, groups = _groups(name, f"optimizer.decay_norms={decay_norms}")
    assert sorted(_names(model, groups)) == sorted(dict(model.named_parameters()))
    assert groups[0]["part"] == "head"
    assert len(groups) == (2 if decay_norms else 4)


@pytest.mark.parametrize("name", MODELS)
def test_weights_alone_are_decayed(name: str) -> None:
    model, groups = _groups(name)
    decayed = set(_names(model, [group for group in groups if group["weight_decay"]]))
    layers = (nn.Conv2d, nn.Linear, nn.MultiheadAttention)
    weights = {
        f"{path}.{own}"
        for path, layer in model.named_modules()
        if isinstance(layer, layers)
        for own, parameter in layer.named_parameters(recurse=False)
        if own in ("weight", "in_proj_weight")
    }
    assert decayed == weights


def test_a_model_may_name_what_it_does_not_decay() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.queries, self.fc = nn.Parameter(torch.zeros(4, 8)), nn.Linear(8, 2)

        def no_weight_decay(self) -> set[str]:
            return {"queries"}

    model = Own()
    assert undecayed_parameters(model) == {id(model.queries), id(model.fc.bias)}


def test_without_weight_decay_there_is_nothing_to_tell_apart() -> None:
    _, groups = _groups("resnet18", "optimizer.weight_decay=0")
    assert [group["part"] for group in groups] == ["head", "backbone"]


@pytest.mark.parametrize("tune", ["head", "last:1", "last:2", "norm", "all"])
@pytest.mark.parametrize("name", MODELS)
def test_what_is_tuned_is_in_one_group_and_nothing_else(name: str, tune: str) -> None:
    model, groups = _groups(name, f"tune={tune}")
    stages = [stage for stage, _ in family_of(model).stages(model)]
    names = _names(model, groups)
    assert len(names) == len(set(names))
    assert set(names) >= {each for each, _ in model.named_parameters() if _in_head(model, each)}
    backbone = {each for each in names if not _in_head(model, each)}
    everything = {each for each, _ in model.named_parameters() if not _in_head(model, each)}
    if tune == "all":
        assert backbone == everything
    elif tune == "head":
        assert not backbone
    elif tune == "norm":
        norms = (nn.BatchNorm2d, nn.LayerNorm)
        owners = {model.get_submodule(each.rpartition(".")[0]) for each in backbone}
        assert owners and all(isinstance(owner, norms) for owner in owners)
    else:
        assert any(each.startswith(stages[-1]) for each in backbone)
        assert not any(each.startswith(f"{stages[0]}.") for each in backbone)
        assert backbone < everything


def test_rates_fall_with_the_distance_from_the_head() -> None:
    overrides = ("optimizer.lr=1", "optimizer.backbone_lr_scale=0.5", "optimizer.layer_decay=0.1")
    model, groups = _groups("resnet18", *overrides)
    rates: dict[str, set[float]] = {}
    for group in groups:
        for each in _names(model, [group]):
            rates.setdefault(each.partition(".")[0], set()).add(group["lr"])
    assert rates["fc"] == {1}
    stages = ["layer4", "layer3", "layer2", "layer1", "conv1"]
    for distance, stage in enumerate(stages, start=1):
        assert list(rates[stage]) == [pytest.approx(0.5 * 0.1**distance)]
    assert rates["bn1"] == rates["conv1"]
    assert learning_rates(torch.optim.SGD(groups)) == (1, pytest.approx(0.05))


@pytest.mark.parametrize("schedule", ["plateau", "one_cycle", "cosine", "constant"])
def test_a_schedule_moves_the_rates_of_all_groups_alike(schedule: str) -> None:
    words = ("epochs=2", "freeze_epochs=0", "optimizer.layer_decay=0.5", f"schedule={schedule}")
    config = config_of(*words)
    [phase] = plan_phases(config)
    optimizer = build_optimizer(build_model("simple_cnn", 3, 32), phase, config.optimizer)
    first = [group["lr"] for group in optimizer.param_groups]
    assert len(first) == 10
    moving = Schedule(optimizer, phase, 3, config.schedule)
    for loss in (1.0, 2.0):
        for _ in range(3):
            rates = [group["lr"] for group in optimizer.param_groups]
            ratios = [rate / rates[0] for rate in rates]
            assert ratios == pytest.approx([rate / first[0] for rate in first])
            optimizer.step()
            moving.after_iteration()
        moving.after_epoch(loss)


def _in_head(model: nn.Module, name: str) -> bool:
    return name.startswith(f"{head_name(model)}.")
