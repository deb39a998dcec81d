"""Decoded images in a file are those in memory, and a disk that cannot take them is named."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import config_of, files_up_to, write_images
from transfer.data import DataSets
from transfer.data.decode import resize_square
from transfer.data.image_buffer import ImageBuffer, Pixels, map_images
from transfer.data.image_folder import read_image_folder
from transfer.system.errors import ConfigError


@pytest.mark.parametrize(
    ("sides", "side"),
    [([8] * 5, 8), ([12] * 5, 12), ([8, 8, 7, 8], 12), ([8, 8, 12, 7], 12), ([12, 7, 8], 12)],
)
@pytest.mark.parametrize("resident_gb", [0, 2e-6, 1])
def test_one_side_is_kept_and_several_become_image_size(
    sides: list[int], side: int, resident_gb: float, tmp_path: Path
) -> None:
    """A bound of 2e-6 lies between the five small images and as many large ones."""
    random = np.random.default_rng(0)
    given = [random.integers(0, 256, (3, each, each), dtype=np.uint8) for each in sides]
    file = tmp_path / "images"
    buffer = ImageBuffer(file, len(given) + 2, 12, resident_gb)
    for image in given:
        buffer.append(image)
    expected = torch.from_numpy(np.stack([_resized(image, side) for image in given]))
    assert torch.equal(buffer.images(), expected)
    large = resident_gb < 1 and not (resident_gb and side == 8)
    assert file.exists() == large
    if large:
        # The images, and nothing more.
        assert torch.equal(map_images(file, expected.shape), expected)
        assert file.stat().st_size == expected.nbytes


def test_no_image_at_all_is_an_empty_tensor(tmp_path: Path) -> None:
    assert ImageBuffer(tmp_path / "images", 3, 12, 0).images().shape == (0, 3, 12, 12)


def test_a_folder_read_into_a_file_is_the_folder(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 6}, size=(12, 12))
    write_images(tmp_path / "train", {"dog": 6}, size=(30, 20))
    write_images(tmp_path / "test", {"cat": 2, "dog": 3})
    (tmp_path / "train" / "dog" / "3.jpg").write_text("no image")
    folder = ("data=image_folder", f"data.root={tmp_path}", "data.on_bad_image=skip")
    sources = [
        read_image_folder(
            config_of(*folder, f"data.resident_gb={gb}").data, 16, tmp_path / f"images of {gb}"
        )
        for gb in (0, 4)
    ]
    assert [(tmp_path / f"images of {gb}").exists() for gb in (0, 4)] == [True, False]
    for part in ("train", "test"):
        in_file, in_memory = (getattr(source, part) for source in sources)
        assert torch.equal(in_file.images, in_memory.images)
        assert torch.equal(in_file.labels, in_memory.labels)
        assert in_file.digest == in_memory.digest
    assert sources[0].skipped == sources[1].skipped != ()


def test_a_cache_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "a file" / "below"))
    write_images(tmp_path / "train", {"cat": 4, "dog": 4})
    folder = ("data=image_folder", f"data.root={tmp_path}")
    with pytest.raises(ConfigError) as refused:
        DataSets().load(config_of(*folder, "data.resident_gb=0").data, 16)
    line = str(refused.value)
    assert line.startswith("data.resident_gb=0: 8 decoded images of 16 px")
    assert f"{tmp_path}/a file/below, which cannot be written (Not a directory)" in line
    assert line.endswith("or keep them in memory with data.resident_gb=1")
    data = DataSets().load(config_of(*folder, "data.validation_fraction=0.25").data, 16)
    assert len(data.train) + len(data.val) + len(data.test) == 8


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    buffer = ImageBuffer(tmp_path / "images", 1000, 32, 0)
    with files_up_to(100_000), pytest.raises(ConfigError, match=r"resident_gb=0: .* too large"):
        for _ in range(1000):
            buffer.append(np.zeros((3, 32, 32), np.uint8))


def test_a_disk_that_is_too_small_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 4 * 3 * 32**2
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    fits, too_many = (ImageBuffer(tmp_path / f"{most}", most, 32, 0) for most in (4, 5))
    fits.append(np.zeros((3, 32, 32), np.uint8))
    words = r"resident_gb=0: 5 decoded images of 32 px are more.* \(No space left on device\)"
    with pytest.raises(ConfigError, match=words):
        too_many.append(np.zeros((3, 32, 32), np.uint8))
    assert not (tmp_path / "5").exists()
    # What is there already makes room for itself when it grows.
    grows = ImageBuffer(tmp_path / "grows", 4, 32, 0)
    grows.append(np.zeros((3, 16, 16), np.uint8))
    (tmp_path / "grows").write_bytes(bytes(3 * 16**2))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free - 3 * 16**2))
    grows.append(np.zeros((3, 32, 32), np.uint8))


def test_what_still_waits_to_be_written_finds_the_full_disk_too(tmp_path: Path) -> None:
    buffer = ImageBuffer(tmp_path / "images", 10, 32, 0)
    buffer.append(np.zeros((3, 32, 32), np.uint8))
    with files_up_to(3000), pytest.raises(ConfigError, match=r"resident_gb=0: .* too large"):
        buffer.append(np.zeros((3, 32, 32), np.uint8))
        buffer.images()


def _resized(image: Pixels, side: int) -> Pixels:
    if image.shape[1] == side:
        return image
    picture = resize_square(Image.fromarray(image.transpose(1, 2, 0)), side)
    return np.asarray(picture).transpose(2, 0, 1)
