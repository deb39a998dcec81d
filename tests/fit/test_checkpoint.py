"""A training's state on disk: whole or not at all, and never run."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from tests.conftest import PLAIN, TINY, config_of
from transfer.fit import Checkpoints, Trainer
from transfer.job import prepare


def _trainer(*overrides: str) -> Trainer:
    job = prepare(config_of(*PLAIN, *TINY, "epochs=5", *overrides))
    return Trainer(job.model(), job.data, job.config, job.device)


@pytest.mark.parametrize("stop_after", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("optimizer", "schedule"), [("adam", "plateau"), ("sgd", "one_cycle"), ("adamw", "cosine")]
)
def test_a_resumed_training_is_bit_identical(
    tmp_path: Path, stop_after: int, optimizer: str, schedule: str
) -> None:
    # Two frozen epochs: stops lie within both phases, and on the boundary between them.
    overrides = ("freeze_epochs=2", f"optimizer={optimizer}", f"schedule={schedule}")
    whole = _trainer(*overrides)
    list(whole.epochs())
    first = _trainer(*overrides)
    for epoch in first.epochs():
        Checkpoints(tmp_path).save(epoch.number, first.state())
        if epoch.number == stop_after:
            break
    second = _trainer(*overrides)
    state = Checkpoints(tmp_path).newest()
    assert state is not None
    second.restore(state)
    assert [epoch.number for epoch in second.epochs()] == list(range(stop_after + 1, 6))
    for one, other in zip(whole.history, second.history, strict=True):
        assert one.iteration_losses == other.iteration_losses
        assert (one.val_loss, one.head_lr, one.best) == (other.val_loss, other.head_lr, other.best)
    for ours, theirs in (
        (whole.model.state_dict(), second.model.state_dict()),
        (whole.best_weights, second.best_weights),
    ):
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_two_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.newest() is None
    for epoch in range(8, 12):
        checkpoints.save(epoch, {"epoch": epoch})
    names = sorted(path.name for path in checkpoints.folder.iterdir())
    assert names == ["epoch-10.pt", "epoch-11.pt"]
    assert checkpoints.newest() == {"epoch": 11}
    checkpoints.remove()
    assert checkpoints.newest() is None


@pytest.mark.parametrize("damage", ["truncated", "empty", "noise"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: str) -> None:
    checkpoints = Checkpoints(tmp_path)
    for epoch in (1, 2):
        checkpoints.save(epoch, {"epoch": epoch, "weights": torch.ones(1000)})
    newest = checkpoints.folder / "epoch-2.pt"
    content = newest.read_bytes()
    newest.write_bytes({"truncated": content[:-500], "empty": b"", "noise": bytes(999)}[damage])
    state = checkpoints.newest()
    assert state is not None
    assert state["epoch"] == 1


def test_a_checkpoint_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    class Exploit:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"epoch": 1})
    (checkpoints.folder / "epoch-2.pt").write_bytes(pickle.dumps(Exploit()))
    assert checkpoints.newest() == {"epoch": 1}
    assert not (tmp_path / "ran").exists()
