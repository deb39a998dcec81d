"""The loop: frozen means frozen, one seed gives one result, the best weights are kept."""

from __future__ import annotations

import math
import re
import threading
from pathlib import Path

import pytest
import torch

from tests.conftest import TINY, config_of
from tests.trainings import changed, train
from transfer.job import prepare
from transfer.models.head import head_name
from transfer.training.epoch import TrainingDivergedError


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_frozen_backbone_is_bit_identical(optimizer: str) -> None:
    # Weight decay and BatchNorm statistics are the two ways in which it usually moves.
    trainer, epochs, before = train(
        "epochs=2", "freeze_epochs=2", f"optimizer={optimizer}", "optimizer.weight_decay=0.1"
    )
    head = head_name(trainer.model)
    moved = changed(before, trainer.model.state_dict())
    assert moved
    assert all(name.startswith(head) for name in moved)
    assert all(epoch.head_alone and epoch.backbone_lr == 0 for epoch in epochs)


def test_after_the_unfreeze_everything_moves() -> None:
    trainer, epochs, before = train("epochs=2", "freeze_epochs=1")
    assert [epoch.head_alone for epoch in epochs] == [True, False]
    unchanged = set(before) - changed(before, trainer.model.state_dict())
    assert not unchanged


def test_one_seed_gives_one_result() -> None:
    first, second = train("seed=3"), train("seed=3")
    for one, other in zip(first[1], second[1], strict=True):
        assert one.iteration_losses == other.iteration_losses
        assert (one.val_loss, one.val_accuracy) == (other.val_loss, other.val_accuracy)
    other_seed = train("seed=4")
    assert other_seed[1][0].iteration_losses != first[1][0].iteration_losses


@pytest.mark.parametrize("features", ["exact", "cache"])
def test_streamed_images_give_the_same_bits(features: str) -> None:
    choices = (f"frozen_features={features}", "data.resident_gb=0")
    resident, streamed = train(*choices[:1]), train(*choices)
    assert resident[0].data.resident and not streamed[0].data.resident
    for one, other in zip(resident[1], streamed[1], strict=True):
        assert one.iteration_losses == other.iteration_losses
        assert (one.train_accuracy, one.val_loss) == (other.train_accuracy, other.val_loss)
    logits, others = (trainer.test_logits()[0] for trainer, _, _ in (resident, streamed))
    assert torch.equal(logits, others)


def test_a_training_that_diverges_leaves_no_thread() -> None:
    before = threading.active_count()
    wild = ("optimizer=sgd", "optimizer.lr=1e30", "freeze_epochs=0", "data.train_per_class=null")
    with pytest.raises(TrainingDivergedError) as diverged:
        train("model=simple_cnn", "weights=none", *wild, "batch_size=4", "data.resident_gb=0")
    # While the traceback lives, so does everything that it passed through.
    assert diverged.tb is not None and threading.active_count() == before


def test_what_ran_before_in_the_process_changes_nothing() -> None:
    first = train("seed=3")[1]
    torch.rand(1000)
    train("seed=5", "model=resnet18")
    assert train("seed=3")[1][-1].iteration_losses == first[-1].iteration_losses


def test_the_best_epoch_on_validation_is_tested() -> None:
    trainer, epochs, _ = train("epochs=4", "data.train_per_class=20", "optimizer.lr=0.01")
    ranks = [(epoch.val_accuracy, -epoch.val_loss) for epoch in epochs]
    best = [epoch.number for epoch in epochs if epoch.best]
    assert best[-1] == ranks.index(max(ranks)) + 1
    logits, labels = trainer.test_logits()
    assert logits.shape == (359, 10)
    assert torch.equal(labels, trainer.data.test.labels)
    now = trainer.model.state_dict()
    assert all(torch.equal(tensor, now[name]) for name, tensor in trainer.best_weights.items())


def test_every_iteration_is_counted() -> None:
    _, epochs, _ = train("epochs=3")
    assert [len(epoch.iteration_losses) for epoch in epochs] == [2, 2, 2]
    for epoch in epochs:
        assert epoch.train_loss == pytest.approx(sum(epoch.iteration_losses) / 2)


def test_the_backbones_own_rate() -> None:
    rates = ("optimizer.lr=0.01", "optimizer.backbone_lr_scale=0.1", "schedule=constant")
    _, epochs, _ = train("freeze_epochs=0", *rates)
    assert epochs[0].head_lr == 0.01
    assert epochs[0].backbone_lr == pytest.approx(0.001)


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    with pytest.raises(TrainingDivergedError, match=r"epoch 2, iteration \d+, at a learning rate"):
        train("optimizer=sgd", "optimizer.lr=1e30")


def test_the_rate_that_is_named_is_that_of_the_iteration() -> None:
    # Constant while frozen; then it rises from a hundredth to the top within the epoch.
    with pytest.raises(TrainingDivergedError) as diverged:
        train(
            "optimizer=sgd", "optimizer.lr=1e30", "data.train_per_class=20",
            "schedule=one_cycle", "schedule.div_factor=100", "schedule.pct_start=0.5",
        )  # fmt: skip
    found = re.search(r"iteration (\d+), at a learning rate of (\S+);", str(diverged.value))
    assert found is not None
    # Up along half a cosine, which ends at half of the schedule's nine steps less one.
    share = (1 - math.cos(math.pi * (int(found[1]) - 1) / 3.5)) / 2
    assert float(found[2]) == pytest.approx(1e28 + (1e30 - 1e28) * share, rel=1e-4)


def test_a_last_step_that_breaks_the_model_is_found_by_its_validation() -> None:
    # One batch an epoch: its loss is computed before its step.
    with pytest.raises(TrainingDivergedError, match=r"the validation loss became .* in epoch 1"):
        train("optimizer=sgd", "optimizer.lr=1e30", "freeze_epochs=0", "batch_size=50")


def test_bfloat16_trains() -> None:
    _, epochs, _ = train("precision=bfloat16")
    reference = train("precision=float32")[1]
    assert epochs[0].train_loss == pytest.approx(reference[0].train_loss, rel=0.05)


def test_weights_from_a_file_are_where_training_starts(tmp_path: Path) -> None:
    trainer, _, _ = train("seed=1")
    torch.save(trainer.model.state_dict(), tmp_path / "weights.pth")
    job = prepare(config_of("model=mobilenet_v3_small", *TINY, f"weights={tmp_path}/weights.pth"))
    # The last layer was made for other classes, even where there are as many.
    assert changed(trainer.model.state_dict(), job.model().state_dict()) == {
        "classifier.3.weight",
        "classifier.3.bias",
    }
