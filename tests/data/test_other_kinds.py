"""What is no picture that is read is called by its name, with what would do."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import config_of, write_images
from tests.data.damage import refusal
from transfer.data import DataSets
from transfer.data.class_folders import list_images
from transfer.system.errors import ConfigError

_PHONE = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_PHONE, "it is HEIC); save it as JPEG or PNG, for example with ImageMagick: magick mo"),
        # The main brand is that of no kind, another one is.
        (b"\0\0\0\x1cftypmsf1\0\0\0\0miafavis", "it is AVIF); save it as JPEG or PNG"),
        (b"\0\0\0\x14ftypisom\0\0\0\0mp42", "it is a video); save frames"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "it is JPEG XL)"),
        (b"%PDF-1.7\n", "it is PDF)"),
        (b"PK\x03\x04\x14\0", "it is an archive); unpack it, and name the folder"),
        (bytes(128) + b"DICM", "it is DICOM)"),
        (b"\r\n<!DOCTYPE HTML><title>404", "a web page, as of a download that failed); fetch it"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull fetches the"),
        (b'<?xml version="1.0"?>\n<svg xmlns=', "it is SVG)"),
        (b"GIF89a of a sort", "header is damaged); repair or remove this file"),
        (b"", "(empty); repair or remove this file"),
    ],
)
def test_a_file_under_the_name_of_a_picture(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "1.jpg").write_bytes(content)
    line = refusal(tmp_path / "1.jpg")
    assert "cannot be read (" in line and words in line


def test_a_real_avif_under_the_name_of_a_jpeg(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 5, "dog": 5})
    Image.new("RGB", (16, 16)).save(tmp_path / "train" / "dog" / "0.jpg", "AVIF")
    root = ("data=image_folder", f"data.root={tmp_path}")
    with pytest.raises(ConfigError) as refused:
        DataSets().load(config_of(*root).data, 16)
    assert str(refused.value) == (
        f"data.root={tmp_path}/train/dog/0.jpg: cannot be read (it is AVIF); save it as JPEG or "
        "PNG, for example with ImageMagick: magick mogrify -format jpg '*.avif' (or '*.AVIF'), or "
        "leave out such files with data.on_bad_image=skip"
    )
    data = DataSets().load(config_of(*root, "data.on_bad_image=skip").data, 16)
    assert data.skipped[0].startswith("train/dog/0.jpg: cannot be read (it is AVIF); save it")


@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        (".HEIC", "but 3 .heic, which is HEIC; save it as JPEG or PNG, for example"),
        (".CR2", "but 3 .cr2, which is a camera's raw file; save it as JPEG or PNG with"),
        (".mov", "but 3 .mov, which is a video; save frames"),
        (".txt", "holds no image (.jpg, .jpeg, "),
    ],
)
def test_a_class_of_such_files_alone(tmp_path: Path, suffix: str, words: str) -> None:
    write_images(tmp_path, {"cat": 3})
    (tmp_path / "dog").mkdir()
    (tmp_path / "cat" / "notes.avif").touch()
    for number in range(3):
        (tmp_path / "dog" / f"{number}{suffix}").touch()
    with pytest.raises(ConfigError) as refused:
        list_images(tmp_path)
    assert words in str(refused.value)
