"""What files and folders hold that is to be predicted."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.conftest import write_images
from tests.data.damage import as_nobody
from transfer.data.pictures import Pictures, find_pictures
from transfer.system.errors import ConfigError

_MADE_HERE = "-predicted.png"
_ODD = ("a b", "a=b", "[1]", "图片", "x,\ny", "=1+1", b"\xff".decode(errors="surrogateescape"))


def _names(found: Pictures, below: Path) -> list[str]:
    return [path.relative_to(below).as_posix() for path in found]


def test_folders_of_any_depth_are_searched_in_the_order_of_names(tmp_path: Path) -> None:
    write_images(tmp_path, {"b": 2, "a": 1, "a/deeper": 1, "a/.hidden": 1, "__MACOSX": 1})
    write_images(tmp_path, dict.fromkeys(_ODD, 1))
    (tmp_path / "c.png").write_bytes(b"not read here")
    (tmp_path / "a" / "link").symlink_to(tmp_path)
    (tmp_path / "b" / "nowhere.jpg").symlink_to("gone")
    found = find_pictures([tmp_path], _MADE_HERE)
    plain = ["c.png", "a/0.jpg", "a/deeper/0.jpg", "b/0.jpg", "b/1.jpg", "b/nowhere.jpg"]
    assert [name for name in _names(found, tmp_path) if not name.startswith(_ODD)] == plain
    assert set(_names(found, tmp_path)) == {*plain, *(f"{name}/0.jpg" for name in _ODD)}
    assert found.count == len(plain) + len(_ODD)
    assert found.folders == {tmp_path.name, "a", "deeper", "b", *_ODD}
    # Again, as the count was one walk.
    assert list(found) == list(found)


def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path: Path) -> None:
    names = ["notes.txt", "a-predicted.png", ".hidden", "a.heic"]
    for name in names:
        (tmp_path / name).write_text("x")
    (tmp_path / "nowhere").symlink_to("gone")
    places = [tmp_path / name for name in (*names, "nowhere", "notes.txt")]
    found = find_pictures(places, _MADE_HERE)
    assert list(found) == places and found.count == len(places)
    assert found.left_out_line() == ""


def test_what_is_left_out_is_one_line(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 1})
    endings = ("heic", "txt", "mov", "pdf", "xml", "cfg")
    for number, ending in enumerate(endings):
        for index in range(7 - number):
            (tmp_path / f"{index}.{ending}").write_text("x")
    (tmp_path / "a" / "0-predicted.png").write_text("x")
    line = find_pictures([tmp_path], _MADE_HERE).left_out_line()
    counts = "7 .heic, 6 .txt, 5 .mov, 4 .pdf, 3 .xml, 3 others"
    assert line.startswith(f"left out what is no image by its name: {counts}; HEIC: save it as")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone", "there is no such file or folder"),
        ("x" * 300, "there is no such file or folder"),
        ("empty", "holds no image (.jpg, .jpeg, "),
        ("phone", "holds no image that is read, but 1 .heic, which is HEIC; save it as JPEG or"),
    ],
)
def test_a_place_without_pictures_is_refused(tmp_path: Path, name: str, words: str) -> None:
    write_images(tmp_path, {"a": 1})
    for folder in ("empty", "phone"):
        (tmp_path / folder).mkdir()
    (tmp_path / "phone" / "a.heic").write_text("x")
    with pytest.raises(ConfigError) as refused:
        find_pictures([tmp_path / "a", tmp_path / name], _MADE_HERE)
    assert str(refused.value).startswith(f"image={tmp_path / name}: {words}")
    assert "\n" not in str(refused.value)


def test_a_folder_that_may_not_be_read_is_refused() -> None:
    # Not in pytest's folder, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        inner = Path(name, "a", "inner")
        write_images(Path(name), {"a": 1, "a/inner": 1})
        Path(name).chmod(0o755)
        inner.chmod(0)
        with as_nobody(), pytest.raises(ConfigError) as refused:
            find_pictures([Path(name)], _MADE_HERE)
        assert str(refused.value).startswith(f"image={inner}: cannot be read (Permission denied)")
