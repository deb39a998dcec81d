"""Decoded data sets on disk: used again while the files are the same, and only then."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.conftest import config_of, write_images
from transfer.data import DataSets
from transfer.data.decode import decode_or_refuse
from transfer.data.decoded_cache import files_digest, read_through_cache
from transfer.data.image_data import Source, Split
from transfer.data.image_folder import read_image_folder
from transfer.system.errors import ConfigError


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

    def __call__(self, file: Path) -> Source:
        self.times += 1
        return self.source


def test_a_second_reading_is_the_first_one_kept(tmp_path: Path) -> None:
    write_images(tmp_path / "images", {"a": 2, "b": 2})
    reader = Reader()
    first, again = (read_through_cache("key", [tmp_path / "images"], reader) for _ in range(2))
    assert reader.times == 1
    assert first.digest == again.digest
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


@pytest.mark.parametrize("name", ["tensors.safetensors", "images"])
def test_a_damaged_file_is_made_again(tmp_path: Path, cache: Path, name: str) -> None:
    write_images(tmp_path / "images", {"a": 1})
    reader = Reader()
    read_through_cache("key", [tmp_path / "images"], reader)
    [kept] = cache.glob(f"decoded/*/{name}")
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    for damaged in (bytes(content), bytes(content[: len(content) // 2]), b""):
        kept.write_bytes(damaged)
        source = read_through_cache("key", [tmp_path / "images"], reader)
        assert torch.equal(source.train.images, reader.source.train.images)
    assert reader.times == 4
    kept.unlink()
    read_through_cache("key", [tmp_path / "images"], reader)
    assert reader.times == 5


def test_a_large_file_of_another_length_is_made_again(tmp_path: Path, cache: Path) -> None:
    write_images(tmp_path / "images", {"a": 1})
    reader = Reader()
    read_through_cache("key", [tmp_path / "images"], reader, resident_gb=0)
    [kept] = cache.glob("decoded/*/images")
    content = kept.read_bytes()
    for damaged in (content[:-1], content + b"x", content[:-48], content[:60], b""):
        # Another file of that name: the old one is still mapped.
        kept.unlink()
        kept.write_bytes(damaged)
        source = read_through_cache("key", [tmp_path / "images"], reader, resident_gb=0)
        assert torch.equal(source.train.images, reader.source.train.images)
    assert reader.times == 6


def test_a_folder_that_cannot_be_written_costs_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "a file" / "below"))
    write_images(tmp_path / "images", {"a": 1})
    reader = Reader()
    for _ in range(2):
        source = read_through_cache("key", [tmp_path / "images"], reader)
        assert len(source.train) == 6
    assert reader.times == 2


@pytest.mark.parametrize("resident_gb", [0, 1])
def test_a_large_set_is_a_map_that_holds_the_same(tmp_path: Path, resident_gb: float) -> None:
    write_images(tmp_path / "images", {"a": 2, "b": 2})
    reader = Reader()
    maps = Path("/proc/self/maps")
    for _ in range(2):
        source = read_through_cache("key", [tmp_path / "images"], reader, resident_gb)
        assert torch.equal(source.train.images, reader.source.train.images)
        assert source.test is not None and len(source.test) == 2
        assert torch.equal(source.train.labels, torch.arange(6))
        # Mapped for reading, and shared: no memory is set aside for it.
        kept = [line for line in maps.read_text().splitlines() if "/cache/decoded/" in line]
        assert any(" r--s " in line for line in kept) == (resident_gb == 0)
        assert source.digest == reader.source.digest
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


def _photos(folder: Path) -> Path:
    write_images(folder / "train", {"cat": 10, "dog": 10}, size=(30, 20))
    return folder


def test_what_is_decoded_for_a_file_is_written_once(tmp_path: Path, cache: Path) -> None:
    """The map that is handed out is that of the file that stays; of a full pass nothing is read
    again: neither digest nor statistics are computed anew."""
    folder = ("data=image_folder", f"data.root={_photos(tmp_path)}")
    small = DataSets().load(config_of(*folder).data, 16)
    shutil.rmtree(cache)
    config = config_of(*folder, "data.resident_gb=0").data
    first = DataSets().load(config, 16)
    [kept] = cache.glob("decoded/*/images")
    assert kept.stat().st_size == 20 * 3 * 16 * 16
    assert [path.suffix for path in cache.glob("decoded/*")] == [""]
    assert str(kept) in Path("/proc/self/maps").read_text()
    inode = kept.stat().st_ino
    kept.write_bytes(bytes(kept.stat().st_size))
    again = DataSets().load(config, 16)
    assert kept.stat().st_ino == inode and not again.train.images.any()
    assert first.digest == again.digest == small.digest
    assert first.channel_statistics == again.channel_statistics == small.channel_statistics


def test_sets_that_this_process_needs_do_not_evict_each_other(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFER_CACHE_GB", "0.000001")
    decoded: list[Path] = []

    def count(path: Path, **options: Any) -> Image.Image:
        decoded.append(path)
        return decode_or_refuse(path, **options)

    monkeypatch.setattr("transfer.data.image_folder.decode_or_refuse", count)
    folder = ("data=image_folder", f"data.root={_photos(tmp_path)}", "data.resident_gb=0")
    sets, config = DataSets(), config_of(*folder).data
    for _ in range(4):
        for size in (8, 16):
            sets.load(config, size)
    assert len(decoded) == 2 * 20
    assert len(list(cache.glob("decoded/*/images"))) == 2


def test_a_refusal_is_raised_once_and_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    _photos(tmp_path)
    (tmp_path / "train" / "dog" / "9.jpg").write_bytes(b"")
    asked = []

    def read(file: Path) -> Source:
        asked.append(file)
        config = config_of("data=image_folder", f"data.root={tmp_path}", "data.resident_gb=0").data
        return read_image_folder(config, 16, file)

    with pytest.raises(ConfigError, match="empty"):
        read_through_cache("key", [tmp_path], read, 0)
    assert len(asked) == 1 and not list(cache.glob("decoded/*"))


def test_a_large_set_that_cannot_be_named_is_streamed_and_not_kept(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ("data=image_folder", f"data.root={_photos(tmp_path)}", "data.resident_gb=0")
    monkeypatch.setattr("transfer.data.decoded_cache.files_digest", lambda _: None)
    data = DataSets().load(config_of(*folder).data, 16)
    assert not data.resident and data.train.images.any()
    assert not list(cache.glob("decoded/*"))


def test_a_few_images_of_a_large_set_are_taken_into_memory(tmp_path: Path) -> None:
    folder = ("data=image_folder", f"data.root={_photos(tmp_path)}", "data.train_per_class=2")
    few = "data.resident_gb=0.000012"
    mapped, whole = (DataSets().load(config_of(*folder, *more).data, 16) for more in ([few], []))
    assert mapped.resident and mapped.train.rows is None and len(mapped.train.stored) == 4
    for part in ("train", "val", "test"):
        assert getattr(mapped, part).digest == getattr(whole, part).digest
