"""Which files of a folder of class folders are images, and what is odd enough to be refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.conftest import config_of, write_images
from tests.data.damage import as_nobody
from transfer.data import DataSets
from transfer.data.class_folders import list_images, require_same_classes
from transfer.data.image_folder import read_image_folder
from transfer.system.errors import ConfigError
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()


@pytest.fixture
def train(tmp_path: Path) -> Path:
    write_images(tmp_path / "train", {"cat": 3, "dog": 3})
    return tmp_path / "train"


def _refusal(folder: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        list_images(folder)
    line = str(refused.value)
    assert len(line.splitlines()) == 1
    # It can be written to any terminal and log.
    line.encode()
    return line


def test_the_order_is_that_of_torchvision(train: Path) -> None:
    write_images(train / "cat" / "b", {"x y": 2, "x": 2, "X": 1})
    write_images(train / "cat", {"a": 2, "a b": 2})
    for name in ("B.JPG", "b.jpeg", "ä.jpg", "10.jpg"):
        (train / "cat" / name).write_bytes((train / "cat" / "0.jpg").read_bytes())
    expected = torchvision.datasets.ImageFolder(str(train))
    listing = list_images(train)
    assert list(listing.classes) == expected.classes
    assert [(str(path), label) for path, label in listing.samples] == expected.samples


def test_clutter_is_not_seen_and_other_files_are_counted(train: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.jpg", "notes.txt", "raw.HEIC"):
        (train / "cat" / name).write_text("x")
    (train / "readme").write_text("x")
    for folder in (".ipynb_checkpoints", "__MACOSX", "cat/.git", "cat/@eaDir"):
        (train / folder).mkdir()
        (train / folder / "0.jpg").write_text("x")
    listing = list_images(train)
    assert listing.classes == ("cat", "dog")
    assert len(listing.samples) == 6
    assert listing.left_out == {".txt": 1, ".heic": 1, "without suffix": 1}


def test_files_left_out_are_told_once(train: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_images(train, {"cat": 9, "dog": 9})
    for number in range(2):
        (train / "cat" / f"{number}.heic").write_text("x")
    DataSets().load(config_of("data=image_folder", f"data.root={train.parent}").data, 16)
    assert [record.message for record in caplog.records] == [
        "train/: left out what is no image by its name or lies in no class folder: 2 .heic; HEIC: "
        "save it as JPEG or PNG, for example with ImageMagick: magick mogrify -format jpg '*.heic' "
        "(or '*.HEIC')"
    ]


def test_a_hidden_folder_of_images_and_classes_alike_but_for_case_are_told(
    train: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_images(train, {"cat": 9, "dog": 9, "Dog": 9, ".mouse": 3, ".idea": 0})
    data = DataSets().load(config_of("data=image_folder", f"data.root={train.parent}").data, 16)
    assert data.classes == ("Dog", "cat", "dog")
    assert [record.message for record in caplog.records][:2] == [
        f"{train.parent}: not used: .mouse/; rename what is to be a class without the dot",
        "classes that differ in case or accents alone: Dog and dog; put their images into one "
        "folder if they are one class",
    ]


@pytest.mark.parametrize(
    "name", ["two\nlines", b"\xff\xfe".decode(errors="surrogateescape"), "-rf", "😀👩‍👧", "x" * 240]
)
def test_a_file_may_have_any_name(train: Path, tmp_path: Path, name: str) -> None:
    file = train / "cat" / f"{name}.jpg"
    (train / "cat" / "0.jpg").rename(file)
    overrides = ("data=image_folder", f"data.root={train.parent}")
    fail = config_of(*overrides).data
    assert len(read_image_folder(fail, 16, tmp_path / "unused").train) == 6
    file.write_bytes(b"")
    with pytest.raises(ConfigError) as refused:
        read_image_folder(fail, 16, tmp_path / "unused")
    skip = config_of(*overrides, "data.on_bad_image=skip").data
    for line in (str(refused.value), *read_image_folder(skip, 16, tmp_path / "unused").skipped):
        assert len(line.splitlines()) == 1
        shown = name.replace("\n", "\\n").encode(errors="backslashreplace").decode()
        assert f"cat/{shown}.jpg: cannot be read (empty)" in line


def test_a_class_may_have_any_name_that_can_be_printed(train: Path) -> None:
    for name in ("-rf", "😀👩‍👧", "a b", "'; drop table", "x" * 240):
        write_images(train, {name: 1})
    assert len(list_images(train).classes) == 7
    for name, shown in (
        ("two\nlines", r"two\nlines"),
        (b"\xff".decode(errors="surrogateescape"), r"\udcff"),
    ):
        write_images(train, {name: 1})
        assert f"train/{shown}: a class's name must be UTF-8 without control" in _refusal(train)
        (train / name / "0.jpg").unlink()
        (train / name).rmdir()


def test_links_are_followed(train: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "outside", {"more": 4, "mouse": 2})
    (train / "cat" / "more").symlink_to(tmp_path / "outside" / "more")
    (train / "mouse").symlink_to(tmp_path / "outside" / "mouse")
    (train / "dog" / "again.jpg").symlink_to("0.jpg")
    listing = list_images(train)
    assert listing.classes == ("cat", "dog", "mouse")
    assert [label for _, label in listing.samples].count(0) == 3 + 4
    assert [label for _, label in listing.samples].count(1) == 3 + 1


def test_links_that_loop_add_nothing(train: Path) -> None:
    write_images(train / "cat", {"sub": 2})
    for number in range(8):
        # Followed blindly, eight links in each of two folders have 8^40 ends.
        (train / "cat" / "sub" / f"up{number}").symlink_to(train / "cat")
        (train / "cat" / f"down{number}").symlink_to("sub")
    listing = list_images(train)
    assert [label for _, label in listing.samples].count(0) == 3 + 2


@pytest.mark.parametrize("name", ["cat/loop", "loop"])
@pytest.mark.parametrize("target", [".", ".."])
def test_a_link_that_would_make_all_classes_one_is_refused(
    train: Path, name: str, target: str
) -> None:
    (train / name).symlink_to(train / target)
    assert f"train/{name}: is a link to a folder that holds it" in _refusal(train)


@pytest.mark.parametrize("name", ["mouse", "cat/more"])
def test_a_link_that_leads_nowhere_is_refused(train: Path, name: str) -> None:
    (train / name).symlink_to(Path(name).name)
    assert f"train/{name}: is a link that leads nowhere" in _refusal(train)
    (train / name).unlink()
    (train / name).symlink_to("/nowhere")
    assert f"train/{name}: is a link that leads nowhere" in _refusal(train)


def test_a_folder_that_may_not_be_read_is_refused() -> None:
    # Not below tmp_path, which only its owner may enter.
    with tempfile.TemporaryDirectory() as name:
        train = Path(name)
        train.chmod(0o755)
        write_images(train, {"cat": 3, "dog": 3})
        (train / "cat").chmod(0)
        with as_nobody():
            assert "/cat: cannot be read (Permission denied)" in _refusal(train)
        (train / "cat").chmod(0o755)
        train.chmod(0o700)
        with as_nobody():
            assert f"{train}: cannot be read (Permission denied)" in _refusal(train)


def test_an_empty_class_is_named(train: Path) -> None:
    (train / "mouse").mkdir()
    (train / "mouse" / "notes.txt").write_text("x")
    assert "train/mouse: holds no image (.jpg, " in _refusal(train)


def test_a_class_that_holds_the_others_is_none(train: Path) -> None:
    write_images(train / "held out", {"cat": 1, "dog": 1})
    assert (
        "train/held out: holds cat, dog, the classes beside it, and so is no class itself; name "
    ) in _refusal(train)
    listing = list_images(train, [(train / "held out").resolve()])
    assert listing.classes == ("cat", "dog") and len(listing.samples) == 6
    # One of them may be a word for a sort as well.
    (train / "held out" / "cat").rename(train / "held out" / "else")
    assert list_images(train).classes == ("cat", "dog", "held out")


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (
            ("cat",) * 2 + ("mouse",),
            "only train/ has dog; only test/ has mouse; give both the same",
        ),
        (("cat", "dog", "mouse"), "hold different classes: only test/ has mouse; give"),
        (("cat", "Dog"), "one class is spelt in two ways (test/Dog is train/dog, but for case"),
    ],
)
def test_classes_that_differ_are_named(train: Path, classes: tuple[str, ...], words: str) -> None:
    write_images(train.parent / "test", dict.fromkeys(classes, 1))
    found = {part: list_images(train.parent / part) for part in ("train", "test")}
    with pytest.raises(ConfigError) as refused:
        require_same_classes(train.parent, {"train": "train", "test": "test"}, found)
    assert words in str(refused.value)


def test_one_name_written_with_two_sorts_of_accents(tmp_path: Path) -> None:
    for part, name in (("train", "caf\u00e9"), ("val", "cafe\u0301")):
        write_images(tmp_path / part, {name: 3, "bar": 3})
    with pytest.raises(ConfigError, match="val/cafe\u0301 is train/caf\u00e9, but for case or acc"):
        DataSets().load(config_of("data=image_folder", f"data.root={tmp_path}").data, 16)


def test_two_classes_may_differ_by_case_alone(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 1, "A": 1})
    assert list_images(tmp_path).classes == ("A", "a")
