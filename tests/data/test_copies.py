"""Pictures that are there twice are counted and named, and others are not."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import config_of, write_images
from transfer.data import DataSets, ImageData
from transfer.data.copies import near_copies


def _load(root: Path, *overrides: str) -> ImageData:
    words = ("data=image_folder", f"data.root={root}", *overrides)
    return DataSets().load(config_of(*words).data, 32)


def _scenes(photo: Image.Image, folder: Path, start: int, count: int) -> None:
    """Parts of a photograph, none of which overlaps another; before number 27 there is sky."""
    for number in range(start, start + count):
        name = "cat" if number % 2 else "dog"
        (folder / name).mkdir(parents=True, exist_ok=True)
        left, top = 71 * (number % 9), 71 * (number // 9)
        part = photo.crop((left, top, left + 70, top + 70))
        part.save(folder / name / f"{number}.png")


def _saved_anew(source: Path, target: Path) -> None:
    with Image.open(source) as image:
        smaller = image.resize((image.width * 3 // 4, image.height * 3 // 4))
        file = io.BytesIO()
        smaller.save(file, "JPEG", quality=85)
        target.write_bytes(file.getvalue())


def test_a_validation_folder_that_is_a_copy_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_images(tmp_path / "train", {"cat": 6, "dog": 6})
    shutil.copytree(tmp_path / "train", tmp_path / "val")
    write_images(tmp_path / "test", {"cat": 2, "dog": 2}, size=(20, 20))
    assert _load(tmp_path).shared_images == 0
    assert caplog.messages == [
        "12 of 12 validation images are also among the training images, file for file: validation "
        "accuracies are too good, and choose the wrong epoch (val/cat/0.jpg, val/cat/1.jpg, "
        "val/cat/2.jpg, …)"
    ]


def test_a_picture_in_two_classes_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for part in ("train", "test"):
        write_images(
            tmp_path / part, {"cat": 6, "dog": 6}, size=(16, 16 if part == "train" else 20)
        )
    shutil.copy(tmp_path / "train" / "cat" / "0.jpg", tmp_path / "train" / "dog" / "x.jpg")
    line = "in two classes, file for file: train/cat/0.jpg and train/dog/x.jpg"
    remedy = "; leave each in the one where it belongs"
    _load(tmp_path)
    assert f"1 picture is {line}{remedy}" in caplog.messages
    # Over the parts as well, and from the cache.
    shutil.copy(tmp_path / "train" / "cat" / "1.jpg", tmp_path / "test" / "dog" / "y.jpg")
    for _ in range(2):
        caplog.clear()
        _load(tmp_path)
        more = f"2 pictures are {line}, train/cat/1.jpg and test/dog/y.jpg{remedy}"
        assert caplog.messages.count(more) == 1


@pytest.mark.parametrize(("fit", "shape"), [("crop", 70), ("pad", 35), ("squash", 35)])
def test_copies_that_were_resized_and_saved_anew_are_told(
    tmp_path: Path, photo: Image.Image, caplog: pytest.LogCaptureFixture, fit: str, shape: int
) -> None:
    _scenes(photo, tmp_path / "train", 27, 19)
    _scenes(photo, tmp_path / "test", 46, 8)
    for path in tmp_path.glob("*/*/*.png"):
        with Image.open(path) as image:
            image.crop((0, 0, 70, shape)).save(path)
    words = (f"data.fit={fit}", "data.resident_gb=0")
    data = _load(tmp_path, *words)
    assert "look" not in caplog.text
    training = data.train.file_names(torch.arange(len(data.train))) or []
    sources = [name for name in training if "/dog/" in name][:4]
    for number, name in enumerate(sources):
        _saved_anew(tmp_path / name, tmp_path / "test" / "dog" / f"0{number}.jpg")
    _load(tmp_path, *words)
    such_as = ", ".join(f"test/dog/0{n}.jpg and {name}" for n, name in enumerate(sources[:3]))
    assert (
        "4 of 12 test images look like a training image, resized or saved anew: "
        f"{such_as}, …; test accuracies are too good"
    ) in caplog.messages


def test_plain_pictures_and_those_on_one_table_are_not_alike(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = np.linspace(90, 230, 64)[None, :, None] + np.zeros((64, 64, 3))
    for part, count in (("train", 12), ("test", 6)):
        for number in range(count):
            folder = tmp_path / part / ("cat" if number % 2 else "dog")
            folder.mkdir(parents=True, exist_ok=True)
            pixels = table.copy()
            # A thing of its own on each.
            pixels[26:38, 26:38] += random.integers(-40, 40, (12, 12, 3))
            pixels = np.clip(pixels + random.normal(0, 2, pixels.shape), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
        Image.new("RGB", (64, 64), (9 if part == "train" else 200,) * 3).save(folder / "plain.png")
    data = _load(tmp_path)
    assert near_copies(data.test, data.train) == ([], 8 - 1)


def test_of_many_images_some_are_looked_up(
    tmp_path: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    _scenes(photo, tmp_path / "train", 27, 20)
    _scenes(photo, tmp_path / "test", 27, 20)
    for path in (tmp_path / "test").glob("*/*.png"):
        _saved_anew(path, path)
    data = _load(tmp_path)
    pairs, looked_up = near_copies(data.test, data.train)
    monkeypatch.setattr("transfer.data.copies._MOST_PAIRS", 5 * len(data.train))
    some, fewer = near_copies(data.test, data.train)
    assert (looked_up, fewer) == (20, 5) and set(some) < set(pairs)
