"""Which tar files are meant, and which part of the data set each of them is."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tests.conftest import config_of
from tests.data.tars import write_tar
from transfer.config.schema import ShardsConfig
from transfer.data.shard_files import part_shards, require_shards, shard_names
from transfer.job import prepare
from transfer.system.errors import ConfigError

MEMBERS = {"1.jpg": b"", "1.cls": b"0"}


def _parts(root: Path | str) -> dict[str, list[str]]:
    found = part_shards(ShardsConfig(name="shards", root=str(root)))
    require_shards([path for paths in found.values() for path in paths])
    return {part: [path.name for path in paths] for part, paths in found.items()}


def _refusal(root: Path | str) -> str:
    with pytest.raises(ConfigError) as refused:
        _parts(root)
    assert refused.value.key == "data.root" and "\n" not in str(refused.value)
    return str(refused.value)


def _make(folder: Path, *names: str) -> None:
    for name in names:
        write_tar(folder / name, MEMBERS)


def test_braces_lists_and_stars_are_names(tmp_path: Path) -> None:
    numbered = [f"photos-{number:03}.tar" for number in range(12)]
    _make(tmp_path, *numbered, "photos-7.tar", "photos-12.tar", "a[1].tar")
    assert _parts(f"{tmp_path}/photos-{{008..011}}.tar") == {"train": numbered[8:]}
    assert _parts(f"{tmp_path}/photos-00{{2,1}}.tar") == {"train": numbered[2:0:-1]}
    assert _parts(f"{tmp_path}/photos-{{7..7}}.tar") == {"train": ["photos-7.tar"]}
    assert _parts(f"{tmp_path}/photos-{{00{{0..1}},12}}.tar") == {
        "train": ["photos-000.tar", "photos-001.tar", "photos-12.tar"]
    }
    both = f"{tmp_path}/photos-00?.tar::{tmp_path}/photos-12.tar"
    assert _parts(both) == {"train": [*numbered[:10], "photos-12.tar"]}
    assert _parts(f"{tmp_path}/a[1].tar") == {"train": ["a[1].tar"]}


def test_a_word_in_the_name_says_the_part(tmp_path: Path) -> None:
    _make(tmp_path, "set-validation-0.tar", "TRAIN_1.tar", "train-0.tar", ".hidden-test.tar")
    _make(tmp_path / "testing", "0.tar", "1.tar")
    assert _parts(tmp_path) == {
        "train": ["TRAIN_1.tar", "train-0.tar"],
        "val": ["set-validation-0.tar"],
        "test": ["0.tar", "1.tar"],
    }
    # The folder that all names have in common says nothing.
    assert _parts(f"{tmp_path}/testing/*.tar") == {"train": ["0.tar", "1.tar"]}
    _make(tmp_path, "more.tar")
    assert "nothing in their names says which part they are: more.tar" in _refusal(tmp_path)
    (tmp_path / "more.tar").rename(tmp_path / "train-val.tar")
    assert "train-val.tar: is called both train and val" in _refusal(tmp_path)
    assert "holds val shards and none for training" in _refusal(f"{tmp_path}/*validation-0.tar")


def test_folders_say_the_part_however_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("train", "val", "test"):
        _make(tmp_path / "testing" / part, "0.tar", "1.tar")
    # By a link as well, but not what is hidden or left behind.
    (tmp_path / "testing" / "val").rename(tmp_path / "elsewhere")
    (tmp_path / "testing" / "val").symlink_to("../elsewhere")
    for clutter in (".old", "@eaDir", "train/.trash"):
        _make(tmp_path / "testing" / clutter, "2.tar")
    every = {part: ["0.tar", "1.tar"] for part in ("train", "val", "test")}
    monkeypatch.chdir(tmp_path / "testing")
    for root in (
        tmp_path / "testing",
        f"{tmp_path}/testing/*/*.tar",
        f"{tmp_path}/testing/{{train,val,test}}/{{0..1}}.tar",
        "{train/{0..1},val/{0..1},test/{0..1}}.tar",
        f"train/{{0..1}}.tar::{tmp_path}/testing/val/*.tar::test/?.tar",
    ):
        assert _parts(root) == every
        config = ShardsConfig(name="shards", root=str(root))
        assert shard_names(config, part_shards(config)["val"]) == ["val/0.tar", "val/1.tar"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_what_may_not_be_read_is_refused(tmp_path: Path) -> None:
    _make(tmp_path / "shards", "0.tar")
    _make(tmp_path / "shards" / "val", "0.tar")
    for folder, root in {
        "shards/val": tmp_path / "shards",
        "shards": f"{tmp_path}/shards/{{0..0}}.tar",
    }.items():
        (tmp_path / folder).chmod(0)
        assert "cannot be read (Permission denied)" in _refusal(root)
        (tmp_path / folder).chmod(0o755)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.tar", "there is no such file"),
        ("missing-*.tar", "there is no file"),
        ("photos-{0..}.tar", "{0..} is neither a range such as {00..99} nor a list {a,b}"),
        ("photos-{0..1.tar", "{0..1.tar lacks a closing brace"),
        ("photos-{9..0}.tar", "{9..0} must count up"),
        ("photos-{0..9999999}.tar", "must count up, by less than 1,000,000"),
        ("{1..999}{1..999}{1..999}.tar", "means more than 1,000,000 files"),
        ("folder.tar", "is no file"),
        ("empty", "holds no .tar file"),
        ("one.tar::one.tar", "is there twice"),
        ("one.tar::link.tar", "is there twice"),
        ("one.tar::", "has an empty name before or behind ::"),
        ("nowhere.tar", "is a link that leads nowhere"),
        ("links", "is a link that leads nowhere"),
        ("shards", "is a link that leads nowhere"),
        ("x" * 300, "cannot be read (File name too long)"),
        (f"{{{','.join('abc' * 90)}}}.tar", "there is no such file"),
    ],
)
def test_names_that_mean_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _make(tmp_path, "one.tar")
    (tmp_path / "link.tar").symlink_to("one.tar")
    for folder in ("folder.tar/inside", "empty", "links", "shards"):
        (tmp_path / folder).mkdir(parents=True)
    for link in ("nowhere.tar", "links/val", "shards/0.tar"):
        (tmp_path / link).symlink_to(tmp_path / "gone")
    assert words in _refusal(name if name != "folder.tar" else "one.tar::folder.tar")


@pytest.mark.parametrize("url", ["pipe:touch ran", "http://host/a.tar", "S3://bucket/a.tar"])
def test_nothing_is_fetched_or_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "only files on a disk are read" in _refusal(url)
    assert not list(tmp_path.iterdir())


def test_what_is_compressed_is_refused(tmp_path: Path) -> None:
    _make(tmp_path, "0.tar")
    content = (tmp_path / "0.tar").read_bytes()
    for name in ("1.tar.gz", "1.tgz"):
        (tmp_path / name).write_bytes(gzip.compress(content))
        for root in (tmp_path, tmp_path / name):
            assert f"{name}: is compressed" in _refusal(root)
        (tmp_path / name).unlink()
    # By its content, whatever its name.
    (tmp_path / "1.tar").write_bytes(gzip.compress(content))
    assert "1.tar: is compressed with gzip" in _refusal(tmp_path)


def test_a_place_must_be_named() -> None:
    with pytest.raises(ConfigError, match=r"give the folder of the .tar files, or their names"):
        prepare(config_of("data=shards"))
