"""Which folder is used for what, and that none is passed over in silence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import config_of, write_images
from transfer.config import Config
from transfer.data import DataSets, ImageData, refuse_idle_draws
from transfer.data.part_folders import part_folders
from transfer.job import prepare
from transfer.system.errors import ConfigError

CLASSES = {"cat": 6, "dog": 6}
FEW = {"cat": 2, "dog": 2}


def _config(root: Path, *overrides: str):
    return config_of("data=image_folder", f"data.root={root}", *overrides).data


def _load(root: Path, *overrides: str) -> ImageData:
    return DataSets().load(_config(root, *overrides), 16)


def _refusal(root: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as refused:
        _load(root, *overrides)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def _sizes(data: ImageData) -> list[int]:
    return [len(split) for split in (data.train, data.val, data.test)]


@pytest.mark.parametrize(
    "names",
    [("train", "valid", "test"), ("Train", "Validation", "TEST"), ("training", "VAL", "testing")],
)
def test_usual_names_are_known(
    tmp_path: Path, names: tuple[str, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    for name, classes in zip(names, (CLASSES, FEW, {"cat": 3, "dog": 3}), strict=True):
        write_images(tmp_path / name, classes)
    data = _load(tmp_path)
    assert _sizes(data) == [12, 4, 6]
    assert data.test.file_names(data.test.labels[:1]) == [f"{names[2]}/cat/0.jpg"]
    assert "not used" not in caplog.text


def test_a_folder_of_the_usual_name_comes_first_and_the_rest_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("train", "val", "valid", "extra"):
        write_images(tmp_path / name, CLASSES if name == "train" else FEW)
    assert _load(tmp_path).val.file_names(_load(tmp_path).val.labels[:1]) == ["val/cat/0.jpg"]
    assert f"{tmp_path}: not used: extra/, valid/; data.train_folder, data.val_" in caplog.text
    caplog.clear()
    # Whoever declines a folder knows of it.
    shutil.rmtree(tmp_path / "extra")
    _load(tmp_path, "data.val_folder=null")
    assert "not used" not in caplog.text
    shutil.move(tmp_path / "val", tmp_path / "validation")
    assert _refusal(tmp_path) == (
        f"data.val_folder=val: {tmp_path} has valid/ and validation/; choose one with "
        "data.val_folder=valid"
    )


def test_a_folder_that_comes_later_is_seen(tmp_path: Path) -> None:
    """By another job of the same process."""
    write_images(tmp_path, FEW)
    assert part_folders(_config(tmp_path)) == {"train": "."}
    (tmp_path / "dog" / "train").mkdir()
    with pytest.raises(ConfigError, match=r"needs a folder train/; there is one in dog/"):
        part_folders(_config(tmp_path))


def test_class_folders_alone_are_the_training_images(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_images(tmp_path, {"cat": 20, "dog": 10})
    data = _load(tmp_path)
    assert data.classes == ("cat", "dog") and sum(_sizes(data)) == 30
    assert f"{tmp_path}: has no folder train/; the folders in it are the classes" in caplog.text


@pytest.mark.parametrize("typed", [(), ("data.train_folder=.",)])
def test_a_test_folder_among_the_classes_is_no_class(tmp_path: Path, typed: tuple[str]) -> None:
    write_images(tmp_path, CLASSES)
    write_images(tmp_path / "Test", FEW)
    assert _load(tmp_path, *typed).classes == ("cat", "dog")
    assert len(_load(tmp_path, *typed).test) == 4
    # Nor by any other name, or where it is declined.
    declined = _load(tmp_path, *typed, "data.test_folder=null")
    assert declined.classes == ("cat", "dog") and sum(_sizes(declined)) == 12
    (tmp_path / "Test").rename(tmp_path / "held out")
    assert "held out: holds cat, dog, the classes beside it" in _refusal(tmp_path, *typed)
    chosen = _load(tmp_path, *typed, "data.test_folder='held out'")
    assert chosen.classes == ("cat", "dog") and len(chosen.test) == 4


def test_the_train_folder_as_root_loses_what_is_beside_it_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_images(tmp_path / "train", CLASSES)
    write_images(tmp_path / "valid", FEW)
    _load(tmp_path / "train")
    root = tmp_path / "train"
    assert f"{root}: not used: valid/ beside it; data.root={tmp_path} takes all" in caplog.text


def test_folders_that_are_no_classes_are_not_taken_for_some(tmp_path: Path) -> None:
    write_images(tmp_path / "pets" / "train", CLASSES)
    assert _refusal(tmp_path).endswith(
        f"needs a folder train/; there is one in pets/: data.root={tmp_path}/pets"
    )
    for name in ("training_set", "test_set"):
        write_images(tmp_path / "kaggle" / name, CLASSES)
    assert _refusal(tmp_path / "kaggle").endswith(
        "needs a folder train/; test_set/ and training_set/ both hold cat, dog: "
        "data.train_folder=training_set data.test_folder=test_set if those are the classes, "
        "data.train_folder=. if test_set and training_set are"
    )
    for name in ("cat", "dog"):
        write_images(tmp_path / "by year" / name, {"2023": 4, "2024": 4})
        write_images(tmp_path / "turned" / name, {"train": 4, "test": 4})
    assert "data.train_folder=. if cat and dog are" in _refusal(tmp_path / "by year")
    assert _load(tmp_path / "by year", "data.train_folder=.").classes == ("cat", "dog")
    assert "one in each of cat, dog: if these are the classes, make it train/cat/ and so on" in (
        _refusal(tmp_path / "turned")
    )


def test_what_lies_in_place_of_class_folders_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "unpacked", {"photos/cat": 4, "photos/dog": 4})
    assert _refusal(tmp_path / "unpacked").endswith(
        f"if the folders in it are the classes (cat, dog), name {tmp_path}/unpacked/photos instead"
    )
    write_images(tmp_path, {"loose": 4})
    (tmp_path / "loose" / "labels.csv").touch()
    assert _refusal(tmp_path / "loose").endswith(
        "holds 4 pictures in no class folder, so that nothing says of which class; no .csv is read "
        "for that; put them into one folder a class, or name the folder around loose/ if that is a "
        "class itself"
    )
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "photos.ZIP").touch()
    line = "holds no class folder, but .zip: unpack that first"
    assert _refusal(tmp_path / "packed").endswith(line)
    for part in ("val", "test"):
        write_images(tmp_path / "parts" / part, FEW)
    keys = "data.train_folder=val data.val_folder=null"
    line = f"needs a folder train/ beside val/ and test/; {keys} trains on val/ instead"
    assert _refusal(tmp_path / "parts").endswith(line)
    assert len(_load(tmp_path / "parts", *keys.split()).test) == 4
    assert _refusal(tmp_path / "loose" / "labels.csv").endswith(
        "is a file, not a folder; name the folder that holds train/ or the class folders"
    )


def test_one_folder_cannot_be_two_parts(tmp_path: Path) -> None:
    write_images(tmp_path / "train", CLASSES)
    same = "is the same folder as data.train_folder=train; choose another"
    assert _refusal(tmp_path, "data.test_folder=train") == f"data.test_folder=train: {same}"
    (tmp_path / "val").symlink_to("train")
    assert _refusal(tmp_path) == f"data.val_folder=val: {same}"
    within = "lies within data.train_folder=train; keep the two apart"
    (tmp_path / "val").unlink()
    (tmp_path / "train" / "cat" / "more").mkdir()
    assert within in _refusal(tmp_path, "data.test_folder=train/cat/more")


@pytest.mark.parametrize(("part", "word"), [("test", "test"), ("val", "validation")])
def test_a_share_of_what_has_its_own_folder_is_refused(
    tmp_path: Path, part: str, word: str
) -> None:
    write_images(tmp_path / "train", CLASSES)
    write_images(tmp_path / part, FEW)
    # Before anything is decoded.
    (tmp_path / "train" / "cat" / "0.jpg").write_text("no image")
    assert _refusal(tmp_path, f"data.{word}_fraction=0.4") == (
        f"data.{word}_fraction=0.4: this job does not use it: {word} images lie in {part}/; what "
        f"would: data.{part}_folder=null holds them out of train/"
    )
    (tmp_path / "train" / "cat" / "0.jpg").unlink()
    assert sum(_sizes(_load(tmp_path, f"data.{word}_fraction=0.4", f"data.{part}_folder=null")))


def test_a_data_seed_that_draws_nothing_is_refused(tmp_path: Path) -> None:
    for part, classes in (("train", CLASSES), ("val", FEW), ("test", FEW)):
        write_images(tmp_path / part, classes)

    def chosen(*overrides: str) -> Config:
        return config_of("data=image_folder", f"data.root={tmp_path}", "data.seed=1", *overrides)

    with pytest.raises(ConfigError) as refused:
        refuse_idle_draws(chosen())
    assert str(refused.value) == (
        "data.seed=1: this job does not use it: beside val/ and test/ nothing is drawn; what "
        "would: data.val_folder=null, data.train_per_class, feature_views; seed='range(5)' "
        "repeats the training"
    )
    draw = ("data.train_per_class=2", "feature_views=2", "data.test_folder=null", "data.seed=0")
    for words in (*draw, "data.val_folder=null"):
        refuse_idle_draws(chosen(words))
    with pytest.raises(ConfigError, match=r"^data\.seed=1: .* beside test/ nothing is drawn; "):
        shutil.rmtree(tmp_path / "val")
        prepare(chosen("protocol.validation=test", "model=simple_cnn", "weights=none"))


def test_pictures_without_labels_are_said_to_be_such(tmp_path: Path) -> None:
    write_images(tmp_path / "train", CLASSES)
    write_images(tmp_path, {"test": 3})
    assert _refusal(tmp_path) == (
        f"data.root={tmp_path}/test: holds 3 pictures in no class folder, so that nothing says of "
        "which class; put them into one folder a class; data.test_folder=null holds images out of "
        "train/ instead"
    )


def test_home_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_images(tmp_path / "my pictures" / "train", CLASSES)
    assert part_folders(_config(Path("'~/my pictures'"))) == {"train": "train"}
    # A user that there is not has no home; the folder may be called so.
    assert _refusal(Path("'~nobody of that name/x'")).endswith("there is no such folder")
