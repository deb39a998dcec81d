"""tune: what it names trains, and everything else stays as it is, bit for bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.conftest import TINY, config_of
from tests.trainings import changed, train
from transfer.job import prepare
from transfer.models.families import build_model, family_of
from transfer.models.families.base import NamedModules
from transfer.models.head import head_of
from transfer.models.tuned import frozen_stages
from transfer.system.errors import ConfigError
from transfer.training.epoch import Epoch
from transfer.training.phases import plan_phases, set_training_mode
from transfer.training.trainer import Trainer


def _unchanged(trainer: Trainer, before: dict[str, Tensor]) -> set[str]:
    return before.keys() - changed(before, trainer.model.state_dict())


def _numbers(epochs: list[Epoch]) -> list[object]:
    return [(epoch.iteration_losses, epoch.val_loss, epoch.val_accuracy) for epoch in epochs]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(
    ("tune", "trained"),
    [
        ("head", ("fc.",)),
        ("last:1", ("layer4.", "fc.")),
        ("last:3", ("layer2.", "layer3.", "layer4.", "fc.")),
    ],
)
def test_frozen_stages_are_bit_identical(
    tune: str, trained: tuple[str, ...], optimizer: str
) -> None:
    # Weight decay and BatchNorm statistics are the two ways in which they usually move.
    words = (f"optimizer={optimizer}", "optimizer.weight_decay=0.1", "optimizer.decay_norms=true")
    trainer, _, before = train("model=resnet18", f"tune={tune}", *words)
    expected = {name for name in before if not name.startswith(trained)}
    assert expected and _unchanged(trainer, before) == expected


def test_norm_layers_and_the_head_train_and_statistics_follow() -> None:
    trainer, _, before = train("model=mobilenet_v3_small", "tune=norm", "freeze_epochs=0")
    convolutions = {
        f"{name}.{own}"
        for name, layer in trainer.model.features.named_modules()  # type: ignore[operator, union-attr]
        if isinstance(layer, nn.Conv2d)
        for own, _ in layer.named_parameters()
    }
    assert _unchanged(trainer, before) == {f"features.{name}" for name in convolutions}


def test_the_head_alone_in_all_epochs_said_in_two_ways() -> None:
    ways = ("tune=head", "freeze_epochs=2"), ("tune=head", "freeze_epochs=0"), ("freeze_epochs=2",)
    jobs = [prepare(config_of("model=mobilenet_v3_small", *TINY, *way)) for way in ways]
    assert len({job.fingerprint for job in jobs}) == 1
    assert [job.name.split("-")[1] for job in jobs] == ["head", "head", "freeze2"]
    results = [train("model=mobilenet_v3_small", *way)[1] for way in ways]
    assert _numbers(results[0]) == _numbers(results[1]) == _numbers(results[2])
    assert all(epoch.head_alone for epoch in results[0])


def test_the_head_comes_first_where_epochs_are_frozen() -> None:
    first, second = plan_phases(
        config_of("epochs=9", "freeze_epochs=4", "tune=last:2", "optimizer.lr=1e-4")
    )
    assert (first.tune, first.last_epoch, first.head_lr) == ("head", 4, 1e-3)
    assert (second.tune, second.first_epoch, second.head_lr) == ("last:2", 5, 1e-4)
    [only] = plan_phases(config_of("epochs=3", "tune=head"))
    assert (only.tune, only.first_epoch, only.last_epoch, only.head_lr) == ("head", 1, 3, 1e-3)


def _layers(stages: NamedModules) -> list[nn.Module]:
    """What computes, and not the lists that hold a stage's modules together."""
    modules = [module for _, stage in stages for module in stage.modules()]
    return [each for each in modules if not isinstance(each, nn.ModuleList | nn.ParameterList)]


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "vit_b_32", "swin_t", "vgg11_bn"])
@pytest.mark.parametrize("tune", ["head", "last:1", "norm", "all"])
def test_only_what_trains_is_in_training_mode(name: str, tune: str) -> None:
    with torch.device("meta"):
        model = build_model(name, 3, 64)
    [phase] = plan_phases(config_of("freeze_epochs=0", f"tune={tune}"))
    set_training_mode(model, phase)
    frozen = frozen_stages(model, tune)
    assert not any(each.training for each in _layers(frozen))
    assert all(each.training for each in _layers(family_of(model).stages(model)[len(frozen) :]))
    assert all(each.training for each in head_of(model).modules())
    if name == "vit_b_32":
        # Of no stage: it is between the embedding and the first layer.
        dropout = model.get_submodule("encoder.dropout")
        assert dropout.training == (tune in ("all", "norm"))
    set_training_mode(model, phase, "drifting")
    assert all(each.training for each in model.modules())


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("model=resnet18 tune=last:5", "resnet18 has 5 stages before its head: choose from last:1"),
        ("model=resnet18 tune=last:99", "to last:4, or all of them with tune=all"),
        ("model=torchvision model.name=vgg11 weights=none image_size=32 tune=norm", "has no norm"),
    ],
)
def test_what_the_model_does_not_have_is_refused(words: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        prepare(config_of(*words.split()))
    assert refused.value.key == "tune" and "\n" not in str(refused.value)


def test_trainable_parameters_are_those_of_the_first_epoch() -> None:
    def trainable(*overrides: str) -> int:
        return prepare(config_of("model=resnet18", *overrides)).trainable_parameters

    head, layer4 = 5130, 8_393_728
    assert trainable("tune=head", "freeze_epochs=0") == trainable("tune=last:1") == head
    assert trainable("tune=last:1", "freeze_epochs=0") == layer4 + head
    assert trainable("tune=norm", "freeze_epochs=0") == 9600 + head
