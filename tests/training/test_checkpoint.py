"""A training that goes on is, bit for bit, one that was never disturbed."""

from __future__ import annotations

import functools
import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import PLAIN, files_up_to, write_images
from tests.data.tars import shards_of
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


def _interrupted(trainer: Trainer, checkpoints: Checkpoints, at_pass: int) -> dict[str, Any]:
    """What is kept of a training that a signal ends in the forward pass of so many."""
    passes = itertools.count(1)

    def send(*_: object) -> None:
        if next(passes) == at_pass:
            signal.raise_signal(signal.SIGTERM)

    head_of(trainer.model).register_forward_hook(send)
    with pytest.raises(KeyboardInterrupt), saved_when_interrupted(trainer, checkpoints):
        for _ in trainer.epochs():
            keep(trainer, checkpoints)
    interrupt._state = interrupt._State()
    state = checkpoints.newest()
    assert state is not None
    return state


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
    checkpoints = Checkpoints(tmp_path)
    state = _interrupted(_trainer(*WITH_DROPOUT), checkpoints, at_pass)
    unfinished = state["unfinished"]
    assert (unfinished["number"], unfinished["iteration"]) == (epoch, iteration)
    expected = state["best_answers"]
    if earlier:
        del state["best_answers"]
        checkpoints.save(epoch - 1, state, iteration)
    second = _trainer(*WITH_DROPOUT)
    assert go_on(second, checkpoints)
    assert all(map(torch.equal, second.best_answers, expected))
    list(second.epochs())
    _require_identical(whole, second)


@pytest.mark.usefixtures("heeded")
def test_over_shards_it_is_the_training_over_the_folder_of_the_same_files(tmp_path: Path) -> None:
    """Images decoded for each batch, out of tar files, and a signal in the middle of an epoch."""
    write_images(tmp_path / "folder" / "train", {"cat": 40, "dog": 40}, (40, 32))
    shards_of(tmp_path / "folder" / "train", tmp_path / "shards", 7)
    folder = (*WITH_DROPOUT, "data=image_folder", f"data.root={tmp_path}/folder")
    shards = (*WITH_DROPOUT, "data=shards", f"data.root={tmp_path}/shards", "data.resident_gb=0")
    whole = _trainer(*folder, "batch_size=5")
    list(whole.epochs())
    checkpoints = Checkpoints(tmp_path / "kept")
    state = _interrupted(_trainer(*shards, "batch_size=5"), checkpoints, at_pass=9)
    assert 0 < state["unfinished"]["iteration"] < 3
    second = _trainer(*shards, "batch_size=5")
    assert not second.data.resident and go_on(second, checkpoints)
    list(second.epochs())
    _require_identical(whole, second)
    assert second.data.test_digest == whole.data.test_digest


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
