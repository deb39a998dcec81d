"""Folds of a data set: each image is tested once, and what cannot be folded is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.conftest import config_of, write_images
from transfer.config.schema import DataConfig
from transfer.data import DataSets, ImageData
from transfer.system.errors import ConfigError


def _config(root: Path, *overrides: str) -> DataConfig:
    return config_of("data=image_folder", f"data.root={root}", *overrides).data


def _folds(config: DataConfig, count: int) -> list[ImageData]:
    sets = DataSets()
    return [sets.load(replace(config, fold=fold), 16) for fold in range(count)]


def test_every_image_is_tested_once() -> None:
    digits = config_of("data.seed=4").data
    folds = _folds(digits, 5)
    tested = torch.cat([data.test.rows for data in folds if data.test.rows is not None])
    assert tested.sort().values.tolist() == list(range(1797))
    for data in folds:
        rows = [split.rows for split in (data.train, data.val, data.test) if split.rows is not None]
        assert torch.cat(rows).sort().values.tolist() == list(range(1797))
        assert len(data.val) / (len(data.train) + len(data.val)) == pytest.approx(0.1, abs=0.002)
        assert data.test.labels.bincount().min() >= 174 // 5
    few = _folds(replace(digits, train_per_class=7), 2)
    assert all(data.train.labels.bincount().tolist() == [7] * 10 for data in few)
    assert [len(data.test) for data in few] == [len(data.test) for data in folds[:2]]


def test_all_draws_of_a_pool_have_its_digest(tmp_path: Path) -> None:
    words = ("", "data.seed=1", "data.fold=0", "data.fold=1 data.folds=3", "data.train_per_class=3")
    sets = DataSets()
    digits = [sets.load(config_of(*each.split()).data, 32) for each in words]
    assert len({data.pool_digest for data in digits}) == 1
    assert len({data.test_digest for data in digits}) == 4
    root = tmp_path / "photos"
    write_images(root / "train", {"cat": 9, "dog": 9}, size=(40, 30))
    folder = {sets.load(_config(root, *each.split()), 12).pool_digest for each in words}
    folder.add(sets.load(_config(root), 24).pool_digest)
    [digest] = folder
    assert digest is not None and digest != digits[0].pool_digest
    (root / "train" / "cat" / "0.jpg").unlink()
    assert DataSets().load(_config(root), 12).pool_digest not in (digest, None)
    write_images(root / "test", {"cat": 3, "dog": 3})
    assert DataSets().load(_config(root), 12).pool_digest is None


def test_folds_read_the_files_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "train", {"cat": 10, "dog": 15})
    read = []
    from transfer.data import data_sets

    def counting(*args: object) -> object:
        read.append(args)
        return reader(*args)  # type: ignore[arg-type]

    reader = data_sets.read_image_folder
    monkeypatch.setattr(data_sets, "read_image_folder", counting)
    for _ in range(2):
        loaded = _folds(_config(tmp_path), 5)
        assert len({data.test_digest for data in loaded}) == 5
        assert all(data.test.labels.bincount().tolist() == [2, 3] for data in loaded)
    assert len(read) == 1


def test_copies_of_tested_images_are_counted_in_each_fold(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 10, "dog": 10})
    copied = tmp_path / "train" / "dog" / "0.jpg"
    shutil.copy(copied, copied.with_name("copy.jpg"))
    shared = [data.shared_images for data in _folds(_config(tmp_path), 5)]
    # Each copy is tested in a fold that trains on the other.
    assert sorted(shared) == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("sizes", "folds", "would_do"),
    [
        ({"cat": 9, "dog": 2}, 5, "dog has 2 images, too few"),
        ({"cat": 9, "dog": 4}, 5, "take data.folds=4"),
        ({"cat": 3, "dog": 5}, 2, "cat has 3 images, .* or take data.folds=3"),
        ({"cat": 1, "dog": 5}, 2, "cat has 1 image, .* give it more images$"),
    ],
)
def test_classes_that_are_too_small(
    tmp_path: Path, sizes: dict[str, int], folds: int, would_do: str
) -> None:
    """In every fold alike."""
    write_images(tmp_path / "train", sizes)
    config = _config(tmp_path, f"data.folds={folds}")
    for fold in range(folds):
        with pytest.raises(ConfigError, match=rf"^data\.folds={folds}: .*{would_do}") as refused:
            DataSets().load(replace(config, fold=fold), 16)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("size", [3, 4, 5, 6, 7])
def test_classes_that_are_just_large_enough(tmp_path: Path, size: int) -> None:
    write_images(tmp_path / "train", {"cat": size, "dog": 20})
    config = _config(tmp_path)
    for folds in range(2 if size > 3 else 3, size + 1):
        for data in _folds(replace(config, folds=folds), folds):
            splits = (data.train, data.val, data.test)
            assert all(split.labels.bincount(minlength=2).min() > 0 for split in splits)


def test_a_validation_folder_is_kept_and_leaves_more_to_train_on(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 2, "dog": 9})
    write_images(tmp_path / "val", {"cat": 2, "dog": 2})
    words = ("data.folds=2", "data.fold=1")
    data = DataSets().load(_config(tmp_path, *words), 16)
    assert data.train.labels.bincount()[0] == data.test.labels.bincount()[0] == 1
    assert len(data.val) == 4
    with pytest.raises(ConfigError, match=r"^data\.folds=2: cat has 2 images"):
        DataSets().load(_config(tmp_path, *words, "data.val_folder=null"), 16)


def test_a_test_folder_is_not_folded(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 9, "dog": 9})
    write_images(tmp_path / "test", {"cat": 3, "dog": 3})
    # Refused before anything is decoded.
    (tmp_path / "train" / "cat" / "0.jpg").write_text("no image")
    with pytest.raises(ConfigError) as refused:
        DataSets().load(_config(tmp_path, "data.fold=0"), 16)
    assert str(refused.value) == (
        f"data.fold=0: there is a test set of its own in {tmp_path}/test; data.test_folder=null "
        "folds all of train/; data.seed='range(5)' repeats the split of the others"
    )
    (tmp_path / "train" / "cat" / "0.jpg").unlink()
    data = DataSets().load(_config(tmp_path, "data.fold=0", "data.test_folder=null"), 16)
    assert len(data.train) + len(data.val) + len(data.test) == 17
