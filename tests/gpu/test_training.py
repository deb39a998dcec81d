"""Trainings on a GPU: every augmentation, both precisions, images there or streamed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from tests.gpu.device import CLOSE, DEVICE, on_device
from transfer.evaluate.metrics import evaluate_logits
from transfer.models.head import head_name
from transfer.system.checkpoints import Checkpoints

AUGMENTATIONS = sorted(path.stem for path in (ROOT / "conf" / "augment").glob("*.yaml"))
MIXING = ("augment.mixup=0.2", "augment.cutmix=1")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("model", ["resnet18", "mobilenet_v3_small"])
def test_a_training_learns(model: str, precision: str) -> None:
    trainer = on_device(f"model={model}", f"precision={precision}", "epochs=6")
    epochs = list(trainer.epochs())
    assert {parameter.device.type for parameter in trainer.model.parameters()} == {DEVICE}
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert evaluate_logits(*trainer.test_logits()).accuracy > 0.6


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_every_augmentation(augment: str) -> None:
    epochs = list(on_device(f"augment={augment}", *MIXING).epochs())
    assert all(torch.tensor(epoch.iteration_losses).isfinite().all() for epoch in epochs)
    assert epochs[-1].train_loss < epochs[0].train_loss


@pytest.mark.parametrize(
    "choices",
    [
        ("class_weights=balanced", "schedule=plateau", "select_by=balanced_acc"),
        ("optimizer=adamw", "optimizer.layer_decay=0.7", "schedule=one_cycle", "select_by=loss"),
        ("optimizer=sgd", "optimizer.lr=0.05", "tune=norm", "label_smoothing=0.1"),
        ("tune=last:1", "frozen_features=cache", "feature_views=2", "augment=crop_flip"),
        ("batchnorm_momentum=published", "protocol.frozen_batchnorm=drifting", "freeze_epochs=2"),
        (
            "augment=article",
            "protocol.augment_evaluation_of=[mobilenet_v3_small]",
            "protocol.validation=test",
            "protocol.result=last",
        ),
    ],
)
def test_every_choice(choices: tuple[str, ...]) -> None:
    trainer = on_device(*choices)
    epochs = list(trainer.epochs())
    assert epochs[-1].train_loss < epochs[0].train_loss
    logits, labels = trainer.test_logits()
    assert logits.isfinite().all()
    assert len(logits) == len(labels) == len(trainer.data.test)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_streamed_images_train_as_resident_ones(precision: str) -> None:
    """They come through pinned memory."""
    resident, streamed = (
        on_device(f"precision={precision}", f"data.resident_gb={size}") for size in (4, 0)
    )
    assert resident.data.resident and not streamed.data.resident
    for one, other in zip(resident.epochs(), streamed.epochs(), strict=True):
        close = pytest.approx(one.iteration_losses, rel=CLOSE[precision], abs=CLOSE[precision])
        assert other.iteration_losses == close


def test_stored_features_train_as_images_do() -> None:
    """Without augmentation, what a frozen part gives is the same in every epoch."""
    exact, stored = (
        on_device("tune=head", "augment=none", "precision=float32", f"frozen_features={features}")
        for features in ("exact", "cache")
    )
    for one, other in zip(exact.epochs(), stored.epochs(), strict=True):
        assert other.iteration_losses == pytest.approx(one.iteration_losses, rel=1e-2, abs=1e-2)


def test_what_is_frozen_stays_bit_for_bit() -> None:
    trainer = on_device("tune=head")
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    list(trainer.epochs())
    after = trainer.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name].to(DEVICE), after[name])}
    assert moved and all(name.startswith(head_name(trainer.model)) for name in moved)


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """It draws what it would have drawn, its generators on the GPU included."""
    whole, first, second = (on_device("augment=trivial", "precision=float32") for _ in range(3))
    expected = list(whole.epochs())
    list(first.epochs(2))
    checkpoints = Checkpoints(tmp_path, "run")
    state = first.state()
    assert state is not None
    checkpoints.save(2, state)
    checkpoint = checkpoints.newest()
    assert checkpoint is not None
    second.restore(checkpoint)
    for epoch in second.epochs():
        losses = expected[epoch.number - 1].iteration_losses
        assert epoch.iteration_losses == pytest.approx(losses, rel=1e-2, abs=1e-2)
    assert len(second.history) == len(expected)
