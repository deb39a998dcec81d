"""Files whole or not at all, on a disk that refuses: with a real limit of the system."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import files_up_to
from transfer.system.checkpoints import Checkpoints
from transfer.system.disk import DiskError, atomic_write, disk_fault, writing


def test_a_file_that_does_not_fit_leaves_the_former_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"former")
    with pytest.raises(DiskError) as refused, files_up_to(1000), atomic_write(path) as file:
        file.write(bytes(2000))
    assert str(refused.value).startswith(f"{path} cannot be written (File too large)")
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_that_is_not_the_disks_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "file") as file:
        file.write(bytes(1 // 0))
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_does_not_fit_leaves_the_ones_before(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"epoch": 1})
    with pytest.raises(DiskError, match=r"epoch-2\.pt cannot be written"), files_up_to(100_000):
        checkpoints.save(2, {"epoch": 2, "weights": torch.zeros(100_000)})
    assert [path.name for path in checkpoints.folder.iterdir()] == ["epoch-1.pt"]
    assert checkpoints.newest() == {"epoch": 1}
    checkpoints.save(2, {"epoch": 2})
    assert checkpoints.newest() == {"epoch": 2}


def test_what_libraries_make_of_it_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with pytest.raises(DiskError, match="File too large"), files_up_to(1000), writing(path):
        save_file({"weights": torch.zeros(10_000)}, path)
    # The device that is always full.
    with pytest.raises(OSError) as full, Path("/dev/full").open("w") as file:
        file.write("word")
    assert full.value.errno == errno.ENOSPC
    assert disk_fault(full.value) == os.strerror(errno.ENOSPC)
    assert disk_fault(FileNotFoundError(errno.ENOENT, "gone")) is None
