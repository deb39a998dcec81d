"""Folders of pictures: what is read, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import config_of, write_images
from transfer.config import ConfigError
from transfer.data import load_data
from transfer.data.image_folder import decode_or_refuse


def _config(root: Path, *overrides: str):
    return config_of("data=image_folder", f"data.root={root}", *overrides).data


def test_reads_train_val_and_test(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        write_images(tmp_path / part, {"cat": count, "dog": count})
    data = load_data(_config(tmp_path), image_size=16)
    assert data.classes == ("cat", "dog")
    assert [len(split) for split in (data.train, data.val, data.test)] == [12, 4, 6]
    assert data.train.images.shape == (12, 3, 16, 16)
    assert data.test.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_what_is_missing_is_held_out(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 20, "dog": 10})
    data = load_data(_config(tmp_path, "data.test_fraction=0.2"), image_size=16)
    assert data.test.labels.bincount().tolist() == [4, 2]
    assert data.val.labels.bincount().tolist() == [2, 1]
    assert len(data.train) + len(data.val) + len(data.test) == 30


def test_null_holds_out_even_where_a_folder_exists(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 20, "dog": 20})
    write_images(tmp_path / "val", {"cat": 3, "dog": 3})
    data = load_data(_config(tmp_path, "data.val_folder=null", "data.test_folder=val"), 16)
    assert [len(split) for split in (data.train, data.val, data.test)] == [36, 4, 6]


def test_sizes_that_differ_become_one(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 5}, size=(40, 20))
    write_images(tmp_path / "train", {"dog": 5}, size=(24, 60))
    data = load_data(_config(tmp_path), image_size=12)
    assert data.train.images.shape[1:] == (3, 12, 12)


def test_the_same_pictures_have_the_same_digest_elsewhere(tmp_path: Path) -> None:
    for name in ("here", "there"):
        write_images(tmp_path / name / "train", {"cat": 5, "dog": 5})
    digests = {load_data(_config(tmp_path / name), 16).digest for name in ("here", "there")}
    assert len(digests) == 1


def test_refused_folders(tmp_path: Path) -> None:
    def refusal(root: Path) -> str:
        with pytest.raises(ConfigError) as refused:
            load_data(_config(root), image_size=16)
        return str(refused.value)

    assert "no such folder" in refusal(tmp_path / "nowhere")
    assert "needs a folder train/" in refusal(tmp_path)
    (tmp_path / "train").mkdir()
    assert "find any class folder" in refusal(tmp_path)
    write_images(tmp_path / "train", {"cat": 5})
    assert "one class only (cat)" in refusal(tmp_path)
    (tmp_path / "train" / "dog").mkdir()
    assert "no valid file for the classes dog" in refusal(tmp_path)
    write_images(tmp_path / "train", {"dog": 1})
    assert "no validation image is left of dog" in refusal(tmp_path)
    write_images(tmp_path / "two" / "train", {"cat": 5, "dog": 5})
    write_images(tmp_path / "two" / "test", {"cat": 1, "mouse": 1})
    assert "test/ and train/ hold different classes: dog, mouse" in refusal(tmp_path / "two")


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 5, "dog": 5})
    (tmp_path / "train" / "dog" / "notes.jpg").write_text("not a picture")
    with pytest.raises(ConfigError, match=r"notes\.jpg: cannot be read \(not an image\)"):
        load_data(_config(tmp_path), image_size=16)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 5, "dog": 5}, size=(64, 64))
    picture = tmp_path / "train" / "dog" / "0.jpg"
    picture.write_bytes(picture.read_bytes()[:-400])
    with pytest.raises(ConfigError, match=r"0\.jpg: cannot be read .*truncated"):
        load_data(_config(tmp_path), image_size=16)


def test_odd_images_become_rgb(tmp_path: Path) -> None:
    path = tmp_path / "odd.png"

    def first_pixel(image: Image.Image) -> tuple[int, ...]:
        image.save(path)
        return decode_or_refuse(str(path), key="image").getpixel((0, 0))

    assert first_pixel(Image.new("L", (4, 4), 100)) == (100, 100, 100)
    assert first_pixel(Image.new("RGBA", (4, 4), (255, 0, 0, 0))) == (255, 255, 255)
    assert first_pixel(Image.new("P", (4, 4))) == (0, 0, 0)
    sixteen_bit = Image.fromarray(np.full((4, 4), 32768, dtype=np.uint16))
    assert first_pixel(sixteen_bit) == (128, 128, 128)


def test_a_picture_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    picture = Image.new("RGB", (20, 10))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "sideways.jpg", exif=exif)
    assert decode_or_refuse(str(tmp_path / "sideways.jpg"), key="image").size == (10, 20)
