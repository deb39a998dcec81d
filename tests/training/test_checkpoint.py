"""A training that goes on is, bit for bit, one that was never disturbed."""

from __future__ import annotations

import functools
import itertools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.conftest import PLAIN, files_up_to
from tests.trainings import trainer_of
from transfer.models.head import head_of
from transfer.system import interrupt
from transfer.system.checkpoints import Checkpoints
from transfer.system.disk import DiskError
from transfer.training.checkpoint import go_on, keep, saved_when_interrupted
from transfer.training.epoch import TrainingDivergedError
from transfer.training.trainer import Trainer


def _trainer(*overrides: str) -> Trainer:
    return trainer_of(*PLAIN, "epochs=5", *overrides)


@functools.cache
def _whole(*overrides: str) -> Trainer:
    trainer = _trainer(*overrides)
    list(trainer.epochs())
    return trainer


@pytest.mark.parametrize("stop_after", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("optimizer", "schedule"), [("adam", "plateau"), ("sgd", "one_cycle"), ("adamw", "cosine")]
)
def test_a_resumed_training_is_bit_identical(
    tmp_path: Path, stop_after: int, optimizer: str, schedule: str
) -> None:
    # Two frozen epochs: stops lie within both phases, and on the boundary between them.
    overrides = ("freeze_epochs=2", f"optimizer={optimizer}", f"schedule={schedule}")
    whole = _whole(*overrides)
    first = _trainer(*overrides)
    for epoch in first.epochs():
        keep(first, Checkpoints(tmp_path))
        if epoch.number == stop_after:
            break
    second = _trainer(*overrides)
    state = Checkpoints(tmp_path).newest()
    assert state is not None
    second.restore(state)
    assert [epoch.number for epoch in second.epochs()] == list(range(stop_after + 1, 6))
    _require_identical(whole, second)


# Dropout draws from torch's own generator, the augmentation and the mixtures from another; the
# schedule moves by iteration.
WITH_DROPOUT = (
    "model=mobilenet_v3_small",
    "epochs=4",
    "freeze_epochs=2",
    "schedule=one_cycle",
    "data.train_per_class=7",
    "augment.mixup=0.5",
    "augment.cutmix=1",
)


@pytest.fixture
def heeded() -> Iterator[None]:
    """Signals as train.py handles them, and as they were afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in numbers}
    interrupt.listen("")
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    interrupt._state = interrupt._State()


# An epoch is three batches of training images and then one of validation images: the signal comes
# in the first batch, in the last, in a validation, in the first batch of the second phase, and in
# the middle of an epoch of that. Earlier checkpoints have no answers of the best epoch.
@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize(
    ("at_pass", "epoch", "iteration", "earlier"),
    [(1, 1, 1, True), (3, 1, 3, False), (4, 1, 3, False), (9, 3, 1, True), (14, 4, 2, False)],
)
def test_a_training_that_a_signal_ended_in_an_epoch_is_bit_identical(
    tmp_path: Path, at_pass: int, epoch: int, iteration: int, earlier: bool
) -> None:
    whole = _whole(*WITH_DROPOUT)
    first = _trainer(*WITH_DROPOUT)
    passes = itertools.count(1)

    def send(*_: object) -> None:
        if next(passes) == at_pass:
            signal.raise_signal(signal.SIGTERM)

    head_of(first.model).register_forward_hook(send)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(KeyboardInterrupt), saved_when_interrupted(first, checkpoints):
        for _ in first.epochs():
            keep(first, checkpoints)
    state = checkpoints.newest()
    assert state is not None
    unfinished = state["unfinished"]
    assert (unfinished["number"], unfinished["iteration"]) == (epoch, iteration)
    interrupt._state = interrupt._State()
    expected = state["best_answers"]
    if earlier:
        del state["best_answers"]
        checkpoints.save(epoch - 1, state, iteration)
    second = _trainer(*WITH_DROPOUT)
    assert go_on(second, checkpoints)
    assert all(map(torch.equal, second.best_answers, expected))
    list(second.epochs())
    _require_identical(whole, second)


def test_a_checkpoint_that_does_not_fit_on_the_disk_leaves_the_one_before(tmp_path: Path) -> None:
    trainer, checkpoints = _trainer(), Checkpoints(tmp_path)
    epochs = trainer.epochs()
    next(epochs)
    keep(trainer, checkpoints)
    next(epochs)
    with files_up_to(100_000):
        with pytest.raises(DiskError, match="cannot be written"):
            keep(trainer, checkpoints)
        # An interruption is not held up by it.
        with pytest.raises(KeyboardInterrupt), saved_when_interrupted(trainer, checkpoints):
            raise KeyboardInterrupt
    assert [path.name for path in checkpoints.folder.iterdir()] == ["epoch-1.pt"]


def test_a_broken_training_is_not_saved_over_a_good_one(tmp_path: Path) -> None:
    trainer = _trainer("optimizer=sgd", "optimizer.lr=1e30", "freeze_epochs=1")
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(TrainingDivergedError):
        for _ in trainer.epochs():
            keep(trainer, checkpoints)
    keep(trainer, checkpoints)
    state = checkpoints.newest()
    assert state is not None and len(state["history"]) == 1
    assert all(tensor.isfinite().all() for tensor in state["model"].values())


def _require_identical(whole: Trainer, resumed: Trainer) -> None:
    for one, other in zip(whole.history, resumed.history, strict=True):
        assert one.iteration_losses == other.iteration_losses
        assert (one.train_loss, one.train_accuracy) == (other.train_loss, other.train_accuracy)
        assert (one.val_loss, one.head_lr, one.best) == (other.val_loss, other.head_lr, other.best)
    for ours, theirs in (
        (whole.model.state_dict(), resumed.model.state_dict()),
        (whole.best_weights, resumed.best_weights),
    ):
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
