"""Statistics of BatchNorm that keep up with a short training, unless they shall be as published."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.conftest import config_of
from tests.trainings import changed, train, trainer_of
from transfer.evaluate.metrics import evaluate_logits, predict_logits
from transfer.models.families import build_model
from transfer.models.head import head_name
from transfer.training.batchnorm import BatchNormMomentum


def _layers(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]


def _momenta(model: nn.Module) -> set[float | None]:
    return {layer.momentum for layer in _layers(model)}


@pytest.mark.parametrize(
    ("name", "iterations", "momentum"),
    [
        ("mobilenet_v3_small", 1, 0.1),
        ("mobilenet_v3_small", 20, 0.1),
        ("mobilenet_v3_small", 40, 0.05),
        ("mobilenet_v3_small", 400, 0.01),  # published
        ("mnasnet0_5", 400, 0.005),
        ("resnet18", 1, 0.1),  # published
        ("resnet18", 400, 0.1),
    ],
)
def test_statistics_forget_within_half_an_epoch(
    name: str, iterations: int, momentum: float
) -> None:
    model = build_model(name, 10, 32)
    for layer in _layers(model):
        layer.num_batches_tracked = torch.tensor(3)
    fitted = BatchNormMomentum(model, "fitted", iterations)
    for layer in _layers(model):
        layer.num_batches_tracked = torch.tensor(3 + 10 * iterations)
    fitted.before_epoch()
    fitted.before_iteration()
    (found,) = _momenta(model)
    assert found == pytest.approx(momentum)


def test_an_average_over_all_batches_stays_one() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3, momentum=None), nn.BatchNorm2d(3, momentum=0.01))
    fitted = BatchNormMomentum(model, "fitted", 1)
    model[1].num_batches_tracked = torch.tensor(100)
    fitted.before_epoch()
    fitted.before_iteration()
    assert _momenta(model) == {None, 0.1}


def test_statistics_begin_as_an_average_whatever_they_were() -> None:
    fresh, old = nn.BatchNorm2d(3, momentum=0.01), nn.BatchNorm2d(3, momentum=0.01)
    old(torch.randn(4, 3, 2, 2))
    fitted = BatchNormMomentum(nn.ModuleList([fresh, old]), "fitted", 40)
    batches = torch.randn(5, 8, 3, 2, 2)
    fitted.before_epoch()
    for batch in batches:
        fitted.before_iteration()
        fresh(batch), old(batch)
    means = batches.mean(dim=(0, 1, 3, 4))
    torch.testing.assert_close(fresh.running_mean, means)
    torch.testing.assert_close(old.running_mean, means)
    for done in range(5, 20):
        fitted.before_iteration()
        assert fresh.momentum == old.momentum == pytest.approx(1 / (done + 1))
    fitted.before_iteration()
    assert fresh.momentum == old.momentum == 0.05


def test_each_layer_counts_its_own_batches() -> None:
    """One that trains from the start goes on with its average where another one begins."""
    head, frozen = nn.BatchNorm2d(3, momentum=0.01), nn.BatchNorm2d(3, momentum=0.01)
    fitted = BatchNormMomentum(nn.ModuleList([frozen, head]), "fitted", 40)
    frozen.eval()
    batches = torch.randn(6, 8, 3, 2, 2)
    for number, batch in enumerate(batches):
        if number == 3:
            frozen.train()
        if number in (0, 3):
            fitted.before_epoch()
        fitted.before_iteration()
        head(batch), frozen(batch)
    torch.testing.assert_close(head.running_mean, batches.mean(dim=(0, 1, 3, 4)))
    torch.testing.assert_close(frozen.running_mean, batches[3:].mean(dim=(0, 1, 3, 4)))


def test_statistics_that_drift_do_not_begin_anew_with_the_backbones_training() -> None:
    drifting = ("weights=none", "freeze_epochs=2", "epochs=3")
    trainer, _, _ = train(*drifting, "protocol.frozen_batchnorm=drifting")
    # Six batches, all alike: the last one has a sixth.
    assert _momenta(trainer.model) == {1 / 6}
    trainer, _, _ = train(*drifting)
    assert _momenta(trainer.model) == {1 / 2}


def _lag(momentum: str) -> float:
    """How far the first layer's statistics are from those of its inputs, after 12 iterations in
    which next to nothing else moves."""
    still = ("weights=none", "freeze_epochs=0", "epochs=6", "optimizer.lr=1e-9")
    trainer, _, _ = train(*still, f"batchnorm_momentum={momentum}")
    layer = next(each for each in trainer.model.modules() if isinstance(each, nn.BatchNorm2d))
    seen: list[Tensor] = []
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    trainer.model.eval()
    trainer.model(trainer.preprocess(trainer.data.train.images))
    variances = torch.cat(seen).var(dim=(0, 2, 3))
    assert layer.running_var is not None
    return (layer.running_var / variances - 1).abs().max().item()


def test_fitted_statistics_keep_up_and_published_ones_do_not() -> None:
    assert _lag("published") > 2 * _lag("fitted")


def test_without_the_key_the_layers_are_as_published() -> None:
    published = config_of("experiment=article", "data=digits", "weights=starter")
    assert published.batchnorm_momentum == "published"
    trainer = trainer_of("batchnorm_momentum=published")
    before = _momenta(trainer.model)
    list(trainer.epochs())
    assert _momenta(trainer.model) == before == {0.01}


def test_a_frozen_backbone_keeps_its_statistics() -> None:
    trainer, _, before = train("freeze_epochs=2")
    assert _momenta(trainer.model) == {0.1}
    moved = changed(before, trainer.model.state_dict())
    assert moved and all(name.startswith(head_name(trainer.model)) for name in moved)


def test_the_kept_weights_have_the_statistics_that_were_evaluated() -> None:
    trainer, _, _ = train("epochs=3")
    model, val = trainer.model, trainer.data.val
    model.load_state_dict(trainer.best_weights)
    images = trainer.preprocess(val.images)
    found = evaluate_logits(*predict_logits(model, [(images, val.labels)], trainer.autocast))
    best = [epoch for epoch in trainer.history if epoch.best][-1]
    assert found.accuracy == best.val_accuracy
    assert found.loss == pytest.approx(best.val_loss, rel=1e-5)


def test_an_average_that_was_interrupted_goes_on_where_it_was() -> None:
    words = ("weights=none", "freeze_epochs=1", "epochs=5")
    whole, first, second = (trainer_of(*words) for _ in range(3))
    list(whole.epochs())
    next(epoch for epoch in first.epochs() if epoch.number == 3)
    state = first.state()
    assert state is not None
    second.restore(copy.deepcopy(state))
    list(second.epochs())
    found, expected = second.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(found[name], each) for name, each in expected.items())


def test_momenta_are_steady_once_they_have_come_down() -> None:
    """Ten batches average alike, for a momentum of 0.1; what is frozen is not asked."""
    model = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    model[1].eval()
    momentum = BatchNormMomentum(model, "fitted", iterations=20)
    momentum.before_epoch()
    steady = []
    for _ in range(12):
        momentum.before_iteration()
        steady.append(momentum.steady)
    assert steady == [False] * 9 + [True] * 3
    assert BatchNormMomentum(model, "published", iterations=20).steady
