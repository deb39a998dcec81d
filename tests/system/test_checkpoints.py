"""A training's state on disk: whole or not at all, and never run."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from transfer.system.checkpoints import Checkpoints


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


def test_checkpoints_take_a_fiftieth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("transfer.system.checkpoints.time.perf_counter", lambda: now[0])
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.due(), "the first one comes at once"

    def slow_fsync(_: int) -> None:
        now[0] += 0.5

    monkeypatch.setattr("transfer.system.disk.os.fsync", slow_fsync)
    checkpoints.save(1, {})
    assert not checkpoints.due()
    now[0] += 49
    assert not checkpoints.due()
    now[0] += 1.1
    assert checkpoints.due()
