"""Decoded data sets on disk: used again while the files are the same, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, write_images
from transfer.data.decoded_cache import files_digest, read_through_cache
from transfer.data.image_data import Source, Split, content_digest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Reader:
    """Counts how often it really reads."""

    def __init__(self) -> None:
        self.times = 0
        split = Split(torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8), torch.arange(6))
        self.source = Source(("a", "b"), split, test=split.subset(torch.arange(2)))

    def __call__(self) -> Source:
        self.times += 1
        return self.source


def test_a_second_reading_is_the_first_one_kept(tmp_path: Path) -> None:
    write_images(tmp_path / "images", {"a": 2, "b": 2})
    reader = Reader()
    (first, digest), (again, same) = (
        read_through_cache("key", [tmp_path / "images"], reader) for _ in range(2)
    )
    assert reader.times == 1
    assert digest == same
    assert again.classes == first.classes and again.val is None
    assert again.test is not None and torch.equal(again.train.images, first.train.images)
    assert torch.equal(again.test.labels, torch.arange(2))
    read_through_cache("another key", [tmp_path / "images"], reader)
    assert reader.times == 2


def test_files_that_changed_are_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    write_images(folder, {"a": 2, "b": 2})
    seen = {files_digest([folder])}
    picture = folder / "a" / "0.jpg"
    status = picture.stat()
    content = bytearray(picture.read_bytes())
    content[-10] ^= 1
    picture.write_bytes(content)
    # Same name, same size, and even its time set back.
    os.utime(picture, ns=(status.st_atime_ns, status.st_mtime_ns))
    seen.add(files_digest([folder]))
    picture.rename(folder / "a" / "9.jpg")
    seen.add(files_digest([folder]))
    write_images(folder, {"c": 1})
    seen.add(files_digest([folder]))
    assert len(seen) == 4
    assert files_digest([tmp_path / "nothing"]) is None


def test_a_damaged_file_is_made_again(tmp_path: Path, cache: Path) -> None:
    write_images(tmp_path / "images", {"a": 1})
    reader = Reader()
    read_through_cache("key", [tmp_path / "images"], reader)
    [kept] = cache.glob("decoded/*.safetensors")
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    for damaged in (bytes(content), bytes(content[: len(content) // 2]), b""):
        kept.write_bytes(damaged)
        source, _ = read_through_cache("key", [tmp_path / "images"], reader)
        assert torch.equal(source.train.images, reader.source.train.images)
    assert reader.times == 4


def test_several_processes_read_it_once(tmp_path: Path) -> None:
    """Real processes that start together: one makes the tensors, and all have the same."""
    code = """
import sys, time, torch
from pathlib import Path
from transfer.system.cache import load_or_make
def make():
    with Path("made").open("a") as file: file.write("x")
    time.sleep(0.5)
    return {"numbers": torch.arange(1000)}
print(int(load_or_make("test", "key", make)["numbers"].sum()))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-c", code]
    processes = [
        subprocess.Popen(call, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=120)[0].strip() for process in processes] == ["499500"] * 2
    assert (tmp_path / "made").read_text() == "x"


def test_a_folder_that_cannot_be_written_costs_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "a file" / "below"))
    write_images(tmp_path / "images", {"a": 1})
    reader = Reader()
    for _ in range(2):
        source, _ = read_through_cache("key", [tmp_path / "images"], reader)
        assert len(source.train) == 6
    assert reader.times == 2


def test_the_least_recently_used_go_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transfer.system import cache as disk_cache

    monkeypatch.setattr(disk_cache, "_MOST_BYTES", 3000)
    for index in range(4):
        disk_cache.load_or_make("test", index, lambda: {"bytes": torch.zeros(1000)[:256]})
        for path in cache.glob("test/*.safetensors"):
            os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 10**9))
    made: list[int] = []

    def make(index: int) -> dict[str, torch.Tensor]:
        made.append(index)
        return {"bytes": torch.zeros(256)}

    for index in (3, 2, 0):
        disk_cache.load_or_make("test", index, lambda index=index: make(index))  # type: ignore[misc]
    assert made == [0]


def test_the_newest_of_each_kind_stays(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transfer.system import cache as disk_cache

    monkeypatch.setattr(disk_cache, "_MOST_BYTES", 3000)
    for kind, numbers in (("large", 1000), ("small", 1), ("small", 2)):
        disk_cache.load_or_make(kind, numbers, lambda count=numbers: {"zeros": torch.zeros(count)})  # type: ignore[misc]
    assert [len(list(cache.glob(f"{kind}/*.safetensors"))) for kind in ("large", "small")] == [1, 1]


@pytest.mark.parametrize("resident_gb", [0, 1])
def test_a_large_set_is_a_map_that_holds_the_same(tmp_path: Path, resident_gb: float) -> None:
    write_images(tmp_path / "images", {"a": 2, "b": 2})
    reader = Reader()
    maps = Path("/proc/self/maps")
    for _ in range(2):
        source, digest = read_through_cache("key", [tmp_path / "images"], reader, resident_gb)
        assert torch.equal(source.train.images, reader.source.train.images)
        assert source.test is not None and len(source.test) == 2
        assert torch.equal(source.train.labels, torch.arange(6))
        # Mapped for reading, and shared: no memory is set aside for it.
        kept = [line for line in maps.read_text().splitlines() if "/cache/decoded/" in line]
        assert any(" r--s " in line for line in kept) == (resident_gb == 0)
        assert digest == content_digest(reader.source)
        del source
    assert reader.times == 1


def test_links_that_loop_and_folders_that_cannot_be_read_are_left_to_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "train"
    write_images(folder, {"a": 1, "b": 2})
    before = files_digest([folder])
    for name in ("one", "other"):
        # Two links make two ways at every level: without an end, 2 to the power of 40 of them.
        (folder / "a" / name).symlink_to(folder, target_is_directory=True)
    assert before is not None and files_digest([folder]) == before

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("transfer.data.decoded_cache.os.scandir", refuse)
    assert files_digest([folder]) is None
