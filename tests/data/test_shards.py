"""Images in tar files: the same data set as a folder of the same files, decoded when needed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import torch

from tests.conftest import config_of, write_images
from tests.data.tars import shards_of, write_tar
from transfer.data import Batches, DataSets, ImageData, Split, shards
from transfer.data.encoded import EncodedImages
from transfer.system.errors import ConfigError, UserError


def load(root: Path | str, *overrides: str, size: int = 16) -> ImageData:
    # In Hydra's quotes, for braces.
    return DataSets().load(config_of("data=shards", f'data.root="{root}"', *overrides).data, size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_images(tmp_path / "folder" / "train", {"cat": 20, "dog": 30}, (24, 18))
    shards_of(tmp_path / "folder" / "train", tmp_path / "shards", 7)
    return tmp_path / "folder"


def _same(one: Split, other: Split) -> bool:
    # Of class folders, the class is in the path already.
    names = [data.file_names(torch.arange(len(data))) or [] for data in (one, other)]
    return (
        torch.equal(one.images, other.images)
        and torch.equal(one.labels, other.labels)
        and [name.partition("/")[2] for name in names[0]]
        == [name.partition("/")[2] for name in names[1]]
    )


# Larger than the pictures, and smaller.
@pytest.mark.parametrize("size", [16, 40])
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_shards_are_the_folder_of_the_same_files(folder: Path, size: int, fit: str) -> None:
    words = ("data.seed=3", f"data.fit={fit}")
    config = config_of("data=image_folder", f"data.root={folder}", *words).data
    expected = DataSets().load(config, size)
    streamed = load(folder.parent / "shards", *words, "data.resident_gb=0", size=size)
    resident = load(folder.parent / "shards", *words, size=size)
    assert streamed.train.is_encoded and not streamed.resident
    assert resident.resident and not resident.train.is_encoded
    for found in (streamed, resident):
        for part in ("train", "val", "test"):
            assert _same(getattr(expected, part), getattr(found, part))
        assert found.classes == expected.classes
        assert found.files_digest == expected.files_digest
        assert found.test_digest == expected.test_digest
        assert found.pool_digest == expected.pool_digest
        assert found.channel_statistics == expected.channel_statistics
    # The latter comes out of the cache by now, and has its name from the files all the same.
    again = load(folder.parent / "shards", *words, size=size)
    assert streamed.digest == resident.digest == again.digest
    assert _same(resident.train, again.train)
    batches = [
        Batches(each.train, 8, torch.device("cpu"), resident=each.resident)
        for each in (expected, streamed)
    ]
    both = [each.shuffled(torch.Generator().manual_seed(0), skip=1) for each in batches]
    for one, other in zip(*both, strict=True):
        assert all(map(torch.equal, one, other))


def test_squares_of_one_size_are_kept_as_they_are(tmp_path: Path) -> None:
    write_images(tmp_path / "folder", {"cat": 10, "dog": 10}, (12, 12))
    shards_of(tmp_path / "folder", tmp_path / "shards", 5)
    assert load(tmp_path / "shards").train.images.shape[1:] == (3, 12, 12)
    assert load(tmp_path / "shards", size=8).train.images.shape[1:] == (3, 8, 8)
    write_images(tmp_path / "other", {"cat": 1, "dog": 1}, (14, 14))
    shards_of(tmp_path / "other", tmp_path / "shards", 5, prefix="more")
    for gb in (0, 1):
        found = load(tmp_path / "shards", f"data.resident_gb={gb}")
        assert found.train.images.shape[1:] == (3, 16, 16)


def test_the_name_of_the_images_tells_what_was_done_to_them(folder: Path) -> None:
    root = folder.parent / "shards"
    name = load(root).digest
    assert load(root).digest == name
    assert load(root, size=12).digest != name
    assert load(root, "data.fit=squash").digest != name
    (root / "classes.txt").write_text("cat\ndog\n")
    assert load(root).digest == name
    (root / "classes.txt").write_text("dog\ncat\n")
    assert load(root).digest != name


def test_pictures_are_looked_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, looked = folder.parent / "shards", []
    look = shards._look
    monkeypatch.setattr(shards, "_look", lambda *args: looked.append(1) or look(*args))
    first = load(root, "data.resident_gb=0")
    assert len(looked) == 50
    assert load(root, "data.resident_gb=0", size=12).classes == first.classes
    assert len(looked) == 50
    os.utime(root / "photos-000003.tar", ns=(1, 1))
    assert load(root, "data.resident_gb=0").digest == first.digest
    assert len(looked) == 100


def test_what_is_in_memory_is_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, taken = folder.parent / "shards", []
    take = EncodedImages.take
    monkeypatch.setattr(EncodedImages, "take", lambda *args: taken.append(1) or take(*args))
    first = load(root)
    assert taken
    taken.clear()
    again = load(root)
    assert _same(first.test, again.test) and not taken
    # The mean and standard deviation of those in no memory, likewise.
    for _ in range(2):
        taken.clear()
        streamed = load(root, "data.resident_gb=0")
        assert streamed.channel_statistics == first.channel_statistics
    assert not taken


def test_a_shard_that_changes_under_a_training_ends_it(folder: Path) -> None:
    root = folder.parent / "shards"
    train = load(root, "data.resident_gb=0").train
    path = root / "photos-000000.tar"
    content = path.read_bytes()
    path.write_bytes(content[:600] + b"?" + content[601:])
    with pytest.raises(UserError, match="is not what it was when its pictures"):
        _ = train.images
    path.write_bytes(content[:600])
    with pytest.raises(UserError, match="is not what it was"):
        _ = train.images
    path.unlink()
    with pytest.raises(UserError, match=r"photos-000000\.tar cannot be read \(No such file"):
        _ = train.images


def test_a_bad_picture_is_refused_or_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = folder / "train" / "cat" / "3.jpg"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    root = folder.parent / "damaged"
    shards_of(folder / "train", root, 7)
    line = f"data.root={root}/photos-000001.tar/cat/3.jpg: cannot be read"
    for _ in range(2):
        with pytest.raises(ConfigError) as refused:
            load(root)
        assert str(refused.value).startswith(line)
        assert str(refused.value).endswith("leave out such files with data.on_bad_image=skip")
        with caplog.at_level(logging.WARNING):
            skipping = load(root, "data.on_bad_image=skip")
        # What was kept of this does not make the other pass.
    assert "data.on_bad_image=skip: 1 of 50 images is left out" in caplog.text
    [skipped] = skipping.skipped
    assert skipped.startswith("photos-000001.tar/cat/3.jpg: cannot be read (")
    bad.unlink()
    shards_of(folder / "train", folder.parent / "without", 7)
    without = load(folder.parent / "without")
    assert skipping.digest == without.digest
    assert torch.equal(skipping.train.images, without.train.images)


@pytest.mark.parametrize("lost", ["any", "cat", "val"])
def test_a_class_is_not_left_out_with_its_last_picture(folder: Path, lost: str) -> None:
    shards_of(folder / "train", folder.parent / "lost", 7, prefix="val")
    of_cats = "images of cat in the {} shards"
    what = {"any": "50 images", "cat": f"20 {of_cats}", "val": f"20 {of_cats}"}[lost]
    for path in (folder / "train").rglob("*.jpg"):
        if lost == "any" or path.parent.name == "cat":
            path.write_bytes(b"?")
    root = folder.parent / ("lost" if lost == "val" else "damaged")
    if lost == "val":
        for path in list(root.iterdir()):
            path.rename(root / path.name.replace("val", "train"))
    shards_of(folder / "train", root, 7, prefix="val" if lost == "val" else "photos")
    with pytest.raises(ConfigError) as refused:
        load(root, "data.on_bad_image=skip")
    line = f"data.on_bad_image=skip: none of the {what.format('val' if lost == 'val' else 'train')}"
    assert str(refused.value).startswith(f"{line} can be read; the first, {root}/")


def test_names_are_those_of_the_way_that_the_shards_are_called(tmp_path: Path) -> None:
    for number in range(2):
        _write_shards(tmp_path / str(number), 1)
    both = f"{tmp_path}/{{0,1}}/shards/000.tar"
    for _ in range(2):
        for root, top in ((tmp_path, ""), (both, ""), (f"{tmp_path}/1/shards/*.tar", "000.tar")):
            names = load(root).train.file_names(torch.arange(2)) or []
            assert all(name.startswith(top or ("0/shards/", "1/shards/")) for name in names)


def test_parts_of_their_own_are_taken(folder: Path) -> None:
    root = folder.parent / "parts"
    for number, part in enumerate(("train", "validation", "test")):
        write_images(folder.parent / part, {"cat": 3 + number, "dog": 3 + number})
        shards_of(folder.parent / part, root, 4, prefix=f"my-{part}")
    found = load(root, "data.resident_gb=0")
    assert [len(split) for split in (found.train, found.val, found.test)] == [6, 8, 10]
    assert found.val.file_names(torch.tensor([0])) == ["my-validation-000000.tar/cat/0.jpg"]
    for typed, words in {
        "data.test_fraction=0.3": "test images lie in the test shards; what would: data.root with",
        "data.validation_fraction=0.3": "validation images lie in the val shards; what would: ",
        "data.fold=1": "there is a test set of its own in the test shards",
    }.items():
        with pytest.raises(ConfigError, match=words):
            load(root, typed)


def _write_shards(root: Path, count: int, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Six samples a shard, of all classes in turn."""
    write_images(root / "pictures", {"any": 6 * count})
    for number in range(count):
        members = {}
        for index in range(6):
            picture = root / "pictures" / "any" / f"{6 * number + index}.jpg"
            members[f"{index}.jpg"] = picture.read_bytes()
            members[f"{index}.cls"] = classes[index % len(classes)].encode()
        write_tar(root / "shards" / f"{number:03}.tar", members)
    return root / "shards"


def _shards_of(split: Split) -> set[str]:
    names = split.file_names(torch.arange(len(split))) or []
    return {name.partition("/")[0] for name in names}


def test_whole_shards_are_held_out(tmp_path: Path) -> None:
    root = _write_shards(tmp_path, 10)
    words = ("data.split_by=shard", "data.validation_fraction=0.25", "data.resident_gb=0")
    found = load(root, *words)
    parts = [_shards_of(split) for split in (found.train, found.val, found.test)]
    assert [len(part) for part in parts] == [6, 2, 2] and len(set.union(*parts)) == 10
    again, other = load(root, *words), load(root, *words, "data.seed=1")
    assert _shards_of(again.test) == parts[2] != _shards_of(other.test)
    # In memory as well, and each in one of the folds.
    tested = [
        _shards_of(load(root, "data.split_by=shard", f"data.fold={fold}").test) for fold in range(5)
    ]
    assert sorted(name for names in tested for name in names) == sorted(set.union(*parts))
    by_image = load(root)
    assert len(_shards_of(by_image.train)) == 10


def test_other_shards_of_the_same_pictures_are_other_images_where_shards_are_drawn(
    tmp_path: Path,
) -> None:
    write_images(tmp_path / "folder", {"cat": 12, "dog": 12}, (12, 12))
    pictures = [path for pair in zip(*_by_class(tmp_path / "folder"), strict=True) for path in pair]
    for name, count in (("four", 4), ("again", 4), ("six", 6)):
        for number in range(0, 24, count):
            members = {}
            for path in pictures[number : number + count]:
                members[f"{path.parent.name}{path.name}"] = path.read_bytes()
                members[f"{path.parent.name}{path.stem}.cls"] = path.parent.name.encode()
            write_tar(tmp_path / name / f"{number:02}.tar", members)
    for gb in (0, 1):
        by_shard, by_image = (
            [
                load(tmp_path / name, f"data.split_by={how}", f"data.resident_gb={gb}")
                for name in ("four", "again", "six")
            ]
            for how in ("shard", "image")
        )
        for of in ("digest", "pool_digest"):
            four, again, six = (getattr(each, of) for each in by_shard)
            assert four == again != six
            [image] = {getattr(each, of) for each in by_image}
            assert image not in (four, six)


def _by_class(folder: Path) -> list[list[Path]]:
    return [sorted((folder / name).iterdir()) for name in ("cat", "dog")]


def test_whole_shards_that_cannot_be_held_out_are_refused(tmp_path: Path) -> None:
    root = _write_shards(tmp_path, 3)
    assert len(load(root, "data.split_by=shard").train) == 6
    with pytest.raises(ConfigError, match=r"3 shards are left .* 5 are .*data\.folds=3 or fewer"):
        load(root, "data.split_by=shard", "data.fold=0")
    (root / "002.tar").unlink()
    with pytest.raises(ConfigError, match="1 shard is left to hold some out of, and 2 are needed"):
        load(root, "data.split_by=shard")
    sorted_by_class = tmp_path / "sorted"
    write_images(tmp_path / "two", {"cat": 6, "dog": 6})
    shards_of(tmp_path / "two", sorted_by_class, 3)
    with pytest.raises(ConfigError, match=r"is left of .*; shards that hold images of every class"):
        load(sorted_by_class, "data.split_by=shard")
