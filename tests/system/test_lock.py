"""Locks that a dead process loses, also on a disk that knows none."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pickle
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, without_locks
from transfer.system.cache import DiskCache
from transfer.system.lock import Lock, LockedError
from transfer.system.process import Process

_HOLD = """
import sys
from pathlib import Path
from transfer.system.lock import Lock
with Lock(Path("lock")):
    print("held", flush=True)
    sys.stdin.read()
"""
_COUNT = """
import math, time
from pathlib import Path
from transfer.system.lock import Lock
for _ in range(5):
    with Lock(Path("lock"), timeout_s=math.inf):
        count = int(Path("count").read_text())
        time.sleep(0.005)
        Path("count").write_text(str(count + 1))
"""


def _python(code: str, folder: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(params=[None, errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def code(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> int | None:
    """What the disk says to flock, in this process and those that it starts; None: it knows it."""
    if request.param is not None:
        _forget_locks(tmp_path, monkeypatch, request.param)
    chosen: int | None = request.param
    return chosen


@pytest.fixture
def no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _forget_locks(tmp_path, monkeypatch, errno.ENOLCK)


def _forget_locks(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    without_locks(folder / "modules", monkeypatch, code)
    monkeypatch.setattr(fcntl, "flock", refuse)


def test_the_living_keep_it_and_the_killed_lose_it(tmp_path: Path, code: int | None) -> None:
    other = _python(_HOLD, tmp_path)
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    path = tmp_path / "lock"
    with pytest.raises(LockedError) as refused:
        Lock(path, timeout_s=0.1).acquire()
    known = f"; if process {other.pid} on .* is known to be dead, delete {tmp_path}/lock.held"
    assert refused.match(known if code else f"^another process has locked {path}$")
    # Not waited for: a zombie is dead.
    other.kill()
    assert other.stdout.read() == ""
    lock = Lock(path, timeout_s=10)
    with lock:
        assert lock.is_locked
        # Of this process, too, only one object has it.
        with pytest.raises(LockedError):
            Lock(path).acquire()
    assert not lock.is_locked
    with Lock(path):
        pass
    other.communicate()
    left = {each.name for each in tmp_path.iterdir()} - {"modules"}
    assert left == {"lock"}


def test_of_several_that_find_a_dead_one_one_gets_it(tmp_path: Path, no_locks: None) -> None:
    dead = Process(Process.this().host, os.getpid(), "long ago")
    (tmp_path / "lock.held").write_text(json.dumps([asdict(dead), "0"]))
    (tmp_path / "count").write_text("0")
    processes = [_python(_COUNT, tmp_path) for _ in range(4)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 4
    assert (tmp_path / "count").read_text() == "20"
    assert not list(tmp_path.glob("lock.*"))


def test_what_may_live_out_of_sight_is_left_to_people(tmp_path: Path, no_locks: None) -> None:
    marker = tmp_path / "lock.held"
    marker.write_text(json.dumps([asdict(Process("elsewhere", 7, "")), "0"]))
    with pytest.raises(
        LockedError, match=f"process 7 on elsewhere .* dead, delete {marker}$"
    ) as refused:
        Lock(tmp_path / "lock").acquire()
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)
    marker.unlink()
    with Lock(tmp_path / "lock"):
        assert marker.exists()


@pytest.mark.parametrize("left", ["lock.held", "lock.clearing"])
def test_what_a_kill_between_two_lines_leaves_counts_for_a_minute(
    tmp_path: Path, no_locks: None, left: str
) -> None:
    if left == "lock.held":
        (tmp_path / left).touch()
    else:
        (tmp_path / left).mkdir()
        dead = Process(Process.this().host, os.getpid(), "long ago")
        (tmp_path / "lock.held").write_text(json.dumps([asdict(dead), "0"]))
    with pytest.raises(LockedError):
        Lock(tmp_path / "lock", timeout_s=0.1).acquire()
    os.utime(tmp_path / left, (time.time() - 61,) * 2)
    with Lock(tmp_path / "lock", timeout_s=1):
        pass
    assert not list(tmp_path.glob("lock.*"))


def test_another_error_of_the_disk_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _forget_locks(tmp_path, monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        Lock(tmp_path / "lock").acquire()


def test_a_cache_without_locks_is_made_once_and_gives_up_what_nobody_took_for_a_day(
    tmp_path: Path, no_locks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFER_CACHE_GB", "0")
    made = []

    def take(key: int) -> None:
        def make() -> dict[str, torch.Tensor]:
            made.append(key)
            return {"zeros": torch.zeros(8)}

        # As a process each.
        DiskCache(tmp_path / "cache").tensors("test", key, make)

    for key in (0, 1, 0):
        take(key)
    assert made == [0, 1]
    for entry in (tmp_path / "cache").glob("test/*"):
        assert entry.suffix == ""
        os.utime(entry, (time.time() - 90_000,) * 2)
    take(2)
    assert len(list((tmp_path / "cache").glob("test/*"))) == 1
