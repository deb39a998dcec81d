"""Folders of pictures: what is read, what is refused, and in which words."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import config_of, write_images
from transfer.data import DataSets
from transfer.system.errors import ConfigError


def _config(root: Path, *overrides: str):
    return config_of("data=image_folder", f"data.root={root}", *overrides).data


def test_reads_train_val_and_test(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        write_images(tmp_path / part, {"cat": count, "dog": count})
    data = DataSets().load(_config(tmp_path), stored_size=16)
    assert data.classes == ("cat", "dog")
    assert [len(split) for split in (data.train, data.val, data.test)] == [12, 4, 6]
    assert data.train.images.shape == (12, 3, 16, 16)
    assert data.test.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_what_is_missing_is_held_out(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 20, "dog": 10})
    data = DataSets().load(_config(tmp_path, "data.test_fraction=0.2"), stored_size=16)
    assert data.test.labels.bincount().tolist() == [4, 2]
    assert data.val.labels.bincount().tolist() == [2, 1]
    assert len(data.train) + len(data.val) + len(data.test) == 30


def test_null_holds_out_even_where_a_folder_exists(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 20, "dog": 20})
    write_images(tmp_path / "val", {"cat": 3, "dog": 3})
    data = DataSets().load(_config(tmp_path, "data.val_folder=null", "data.test_folder=val"), 16)
    assert [len(split) for split in (data.train, data.val, data.test)] == [36, 4, 6]


def test_sizes_that_differ_become_one(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 5}, size=(40, 20))
    write_images(tmp_path / "train", {"dog": 5}, size=(24, 60))
    data = DataSets().load(_config(tmp_path), stored_size=12)
    assert data.train.images.shape[1:] == (3, 12, 12)


def test_the_same_pictures_have_the_same_digest_elsewhere(tmp_path: Path) -> None:
    for name in ("here", "there"):
        write_images(tmp_path / name / "train", {"cat": 5, "dog": 5})
    digests = {DataSets().load(_config(tmp_path / name), 16).digest for name in ("here", "there")}
    assert len(digests) == 1


def test_the_test_set_is_the_same_at_every_size(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 20, "dog": 20}, size=(40, 30))
    small, large = (DataSets().load(_config(tmp_path), size) for size in (12, 24))
    assert small.digest != large.digest
    assert small.test_digest == large.test_digest
    assert DataSets().load(_config(tmp_path, "data.seed=1"), 12).test_digest != small.test_digest


def test_remarks_are_made_again_when_the_decoded_images_are_at_hand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_images(tmp_path / "train", {"cat": 5, "dog": 5})
    (tmp_path / "train" / "cat" / "photo.heic").touch()
    for _ in range(2):
        caplog.clear()
        DataSets().load(_config(tmp_path), 16)
        assert "1 .heic" in caplog.text


def test_test_images_that_are_trained_on_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_images(tmp_path / "train", {"cat": 6, "dog": 6})
    write_images(tmp_path / "test", {"cat": 2, "dog": 2}, size=(20, 20))
    assert DataSets().load(_config(tmp_path), 16).shared_images == 0
    shutil.copy(next((tmp_path / "train" / "dog").iterdir()), tmp_path / "test" / "dog" / "x.png")
    assert DataSets().load(_config(tmp_path), 16).shared_images == 1
    assert "1 of 5 test images is also among the training or validation images" in caplog.text


def test_refused_folders(tmp_path: Path) -> None:
    def refusal(root: Path) -> str:
        with pytest.raises(ConfigError) as refused:
            DataSets().load(_config(root), stored_size=16)
        return str(refused.value)

    assert "no such folder" in refusal(tmp_path / "nowhere")
    (tmp_path / "photos.zip").touch()
    assert "is a file, not a folder; an archive must be unpacked" in refusal(
        tmp_path / "photos.zip"
    )
    (tmp_path / "photos.zip").unlink()
    assert "needs a folder train/" in refusal(tmp_path)
    (tmp_path / "train").mkdir()
    assert "holds no class folder" in refusal(tmp_path)
    write_images(tmp_path / "train", {"cat": 5})
    assert "one class only (cat)" in refusal(tmp_path)
    (tmp_path / "train" / "dog").mkdir()
    assert "train/dog: holds no image (.jpg, " in refusal(tmp_path)
    write_images(tmp_path / "train", {"dog": 1})
    assert "no validation image is left of dog; give it more images, 3 or more, or leave" in (
        refusal(tmp_path)
    )


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 5, "dog": 5})
    (tmp_path / "train" / "dog" / "notes.jpg").write_text("not a picture")
    with pytest.raises(
        ConfigError, match=r"notes\.jpg: cannot be read \(not a JPEG, .* data.on_bad_image=skip"
    ):
        DataSets().load(_config(tmp_path), stored_size=16)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 5, "dog": 5}, size=(64, 64))
    picture = tmp_path / "train" / "dog" / "0.jpg"
    picture.write_bytes(picture.read_bytes()[:-400])
    with pytest.raises(ConfigError, match=r"0\.jpg: cannot be read .*truncated"):
        DataSets().load(_config(tmp_path), stored_size=16)


def test_a_folder_that_was_chosen_must_be_there(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 9, "dog": 9})
    with pytest.raises(ConfigError, match=r"data\.test_folder=tset: there is no such folder"):
        DataSets().load(_config(tmp_path, "data.test_folder=tset"), 16)


def _with_bad_images(root: Path) -> list[Path]:
    """Fill train/ and an external test folder; the paths of those images that cannot be read."""
    write_images(root / "train", {"cat": 20, "dog": 20})
    write_images(root.parent / "elsewhere", {"cat": 3, "dog": 3})
    bad = [root / "train" / "cat" / f"{number}.jpg" for number in range(3, 15)]
    bad += [root.parent / "elsewhere" / "dog" / "0.jpg"]
    for path in bad:
        # Larger than the others: it must not matter to what they become.
        Image.new("RGB", (60, 40)).save(path)
        path.write_bytes(path.read_bytes()[:-20])
    bad[0].write_bytes(b"")
    return bad


def test_skip_gives_what_a_folder_without_the_bad_images_gives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "images"
    elsewhere = f"data.test_folder={tmp_path / 'elsewhere'}"
    bad = _with_bad_images(root)
    with pytest.raises(ConfigError, match=r"10\.jpg: cannot be read .*truncated"):
        DataSets().load(_config(root, elsewhere), 64)
    skipping = DataSets().load(_config(root, elsewhere, "data.on_bad_image=skip"), 64)
    assert len(skipping.skipped) == len(bad) == 13
    assert skipping.skipped[0].startswith("train/cat/10.jpg: cannot be read (image file is trunc")
    assert skipping.skipped[-1].startswith("../elsewhere/dog/0.jpg: cannot be read")
    [lines] = [
        each.message.splitlines() for each in caplog.records if "are left out" in each.message
    ]
    assert "13 of 46 images are left out" in lines[0]
    assert lines[-2:] == ["  and 3 more", "  each run keeps the whole list as skipped_images.txt"]
    assert len(lines) == 1 + 10 + 2
    with pytest.raises(ConfigError):
        # What was read with skip is not what fail is answered with.
        DataSets().load(_config(root, elsewhere), 64)
    for path in bad:
        path.unlink()
    without = DataSets().load(_config(root, elsewhere), 64)
    assert without.skipped == ()
    assert without.digest == skipping.digest
    assert without.train.images.shape[1:] == (3, 16, 16)


def test_skip_leaves_no_class_without_images(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_images(tmp_path / part, {"cat": 9, "dog": 2})
    for number in (0, 1):
        (tmp_path / "test" / "dog" / f"{number}.jpg").write_text("no image")
    with pytest.raises(ConfigError) as refused:
        DataSets().load(_config(tmp_path, "data.on_bad_image=skip"), 16)
    assert f"none of the 2 images in {tmp_path}/test/dog can be read; the first, 0.jpg, cannot" in (
        str(refused.value)
    )


def test_small_squares_of_several_sizes_become_one_size(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 5}, size=(12, 12))
    write_images(tmp_path / "train", {"dog": 5}, size=(16, 16))
    data = DataSets().load(_config(tmp_path), stored_size=24)
    assert data.train.images.shape[1:] == (3, 24, 24)
    first = data.train.images[data.train.labels == 1][0].permute(1, 2, 0)
    files = [Image.open(path).convert("RGB") for path in (tmp_path / "train" / "dog").iterdir()]
    resized = [file.resize((24, 24), Image.Resampling.BILINEAR).tobytes() for file in files]
    assert first.numpy().tobytes() in resized


def test_a_file_has_its_name_and_not_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    write_images(tmp_path / "photos" / "train", {"a": 4, "b": 4})
    write_images(tmp_path / "elsewhere", {"a": 1, "b": 1})
    (tmp_path / "elsewhere" / "b" / "sub").mkdir()
    folder = tmp_path / "elsewhere"
    (folder / "b" / "0.jpg").rename(folder / "b" / "sub" / "\udcff.jpg")
    (tmp_path / "photos" / "train" / "a" / "1.jpg").write_text("no image")
    for test_folder in (str(folder), "../elsewhere"):
        config = _config(
            tmp_path / "photos", "data.on_bad_image=skip", f"data.test_folder={test_folder}"
        )
        # Read, and then from the cache.
        for data_sets in (DataSets(), DataSets()):
            data = data_sets.load(config, 16)
            names = data.test.file_names(torch.arange(2))
            assert names == ["elsewhere/a/0.jpg", "elsewhere/b/sub/\\udcff.jpg"]
            there = [
                name
                for split in (data.train, data.val)
                for name in split.file_names(torch.arange(len(split))) or []
            ]
            # Held out at random, and still each with its own name.
            assert sorted(there) == [
                *(f"train/a/{index}.jpg" for index in (0, 2, 3)),
                *(f"train/b/{index}.jpg" for index in range(4)),
            ]
            for split in (data.train, data.val.in_memory()):
                for index, name in enumerate(split.file_names(torch.arange(len(split))) or []):
                    pixels = torch.from_numpy(np.array(Image.open(tmp_path / "photos" / name)))
                    assert torch.equal(
                        split.take(torch.tensor([index]))[0], pixels.permute(2, 0, 1)
                    )
