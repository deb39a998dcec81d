"""The cache on disk: made once, kept within bounds, and never taken from whoever needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import ROOT
from transfer.system.cache import DiskCache, cache_folder, disk_cache
from transfer.system.errors import ConfigError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _zeros(count: int = 256, made: list[int] | None = None) -> Callable[[], dict[str, Tensor]]:
    def make() -> dict[str, Tensor]:
        if made is not None:
            made.append(count)
        return {"zeros": torch.zeros(count)}

    return make


def _python(code: str, folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-c", code]
    return subprocess.Popen(
        call, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def test_several_processes_make_it_once(tmp_path: Path, cache: Path) -> None:
    """Real processes that start together: one makes the tensors, and all have the same."""
    code = """
import time, torch
from pathlib import Path
from transfer.system.cache import disk_cache
def make():
    with Path("made").open("a") as file: file.write("x")
    time.sleep(0.5)
    return {"numbers": torch.arange(1000)}
print(int(disk_cache().tensors("test", "key", make)["numbers"].sum()))
"""
    processes = [_python(code, tmp_path) for _ in range(2)]
    assert [process.communicate(timeout=120)[0].strip() for process in processes] == ["499500"] * 2
    assert (tmp_path / "made").read_text() == "x"
    assert [path.suffix for path in cache.glob("test/*")] == [""]


def test_the_least_recently_used_go_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFER_CACHE_GB", "3e-6")
    for index in range(4):
        # As a process each.
        DiskCache(cache).tensors("test", index, _zeros())
        for path in cache.glob("test/*"):
            os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 10**9))
    made: list[int] = []
    for index in (3, 2, 0):
        DiskCache(cache).tensors("test", index, _zeros(index + 1, made))
    assert made == [1]


def test_the_newest_of_each_kind_stays(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFER_CACHE_GB", "3e-6")
    for kind, count in (("large", 1000), ("small", 1), ("small", 2)):
        DiskCache(cache).tensors(kind, count, _zeros(count))
    assert [len(list(cache.glob(f"{kind}/*"))) for kind in ("large", "small")] == [1, 1]


def test_what_a_living_process_has_used_stays_and_a_dead_ones_goes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFER_CACHE_GB", "0")
    code = """
import sys, torch
from transfer.system.cache import disk_cache
for key in range(3): disk_cache().tensors("test", key, lambda: {"zeros": torch.zeros(256)})
print("made", flush=True)
sys.stdin.read()
"""
    other = _python(code, tmp_path)
    assert other.stdout is not None and other.stdout.readline() == "made\n"
    made: list[int] = []
    for key in (*range(3), "mine"):
        disk_cache().tensors("test", key, _zeros(made=made))
    assert len(made) == 1 and len(list(cache.glob("test/*"))) == 4
    other.kill()
    other.communicate()
    DiskCache(cache).tensors("test", "another", _zeros())
    # This process has used them, too.
    assert len(list(cache.glob("test/*"))) == 5


def test_what_a_kill_left_is_cleared_by_the_next(tmp_path: Path, cache: Path) -> None:
    code = """
from transfer.system.cache import disk_cache
def make(folder):
    folder.mkdir()
    for name in ("images", "tensors.safetensors"):
        (folder / name).write_bytes(bytes(1000))
    print("half", flush=True)
    __import__("time").sleep(100)
disk_cache().load_or_make("test", "key", load=lambda _: None, make=make, save=None)
"""
    process = _python(code, tmp_path)
    assert process.stdout is not None and process.stdout.readline() == "half\n"
    DiskCache(cache).tensors("other", 1, _zeros())
    assert sorted(path.suffix for path in cache.glob("test/*")) == [".lock", ".unfinished"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    # Images without the file that names them, as where the kill came while they were deleted.
    (cache / "test" / "0123").mkdir()
    (cache / "test" / "0123" / "images").touch()
    DiskCache(cache).tensors("other", 2, _zeros())
    assert not list(cache.glob("test/*"))
    assert len(list(cache.glob("other/*"))) == 2


def test_an_error_of_the_maker_is_raised_once(cache: Path) -> None:
    asked = []

    def make() -> dict[str, Tensor]:
        asked.append(1)
        raise OSError("the maker's own")

    with pytest.raises(OSError, match="the maker's own") as raised:
        disk_cache().tensors("test", "key", make)
    assert len(asked) == 1 and raised.value.__context__ is None
    assert not list(cache.glob("test/*"))


@pytest.mark.parametrize("bound", ["ten", "-1", "nan"])
def test_a_bound_that_is_no_number_is_refused(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFER_CACHE_GB", bound)
    with pytest.raises(ConfigError, match=f"^TRANSFER_CACHE_GB={bound}: give the gigabytes"):
        disk_cache().tensors("test", "key", _zeros())


def test_unless_it_is_set_the_bound_leaves_half_of_the_disk(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 10**12

    class Usage:
        def __init__(self, folder: Path) -> None:
            self.free = room - sum(path.stat().st_size for path in folder.glob("test/*/*"))

    monkeypatch.setattr("shutil.disk_usage", Usage)
    for index in range(3):
        DiskCache(cache).tensors("test", index, _zeros())
    [size, _, _] = [path.stat().st_size for path in cache.glob("test/*/*")]
    room = 5 * size
    DiskCache(cache).tensors("test", "more", _zeros())
    assert len(list(cache.glob("test/*"))) == 2


def test_without_a_home_a_folder_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRANSFER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    # What Python makes of a user whom the system does not know.
    monkeypatch.setenv("HOME", "~")
    with pytest.raises(ConfigError, match=r"TRANSFER_CACHE=null: this user has no home folder"):
        cache_folder()
