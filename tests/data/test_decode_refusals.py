"""What is no whole image is refused, in one line and without harm."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from tests.data.damage import as_nobody, damaged, image_files, refusal
from transfer.data.decode import MAX_BYTES, MAX_PIXELS, decode_or_refuse
from transfer.system.errors import ConfigError

# pytest takes back the filters that the decoder sets for warnings.
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning"
)


def test_a_program_for_ghostscript_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "postscript.jpg"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with Image.open(path) as picture:
        assert picture.format == "EPS"
    assert "not a JPEG" in refusal(path)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_text("some words")
    assert "not a JPEG, PNG, GIF, BMP, TIFF, WebP or PPM image" in refusal(path)
    path.write_bytes(b"")
    assert "(empty)" in refusal(path)
    assert "No such file" in refusal(tmp_path / "missing.jpg")
    assert "not a regular file" in refusal(tmp_path)
    # Opened, a pipe without a writer waits forever.
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "not a regular file" in refusal(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert "Too many levels of symbolic links" in refusal(tmp_path / "loop.jpg")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "private.png"
    Image.new("L", (16, 16)).save(path)
    path.chmod(0)
    with as_nobody():
        assert "(Permission denied)" in refusal(path)


def test_a_truncated_file_is_refused(tmp_path: Path, photo: Image.Image) -> None:
    for name, content in image_files([photo.resize((48, 32))]).items():
        path = tmp_path / name
        path.write_bytes(content)
        decode_or_refuse(path, key="image")
        path.write_bytes(content[: len(content) // 2])
        # Of these the first frame is whole; of a fax, libtiff makes up what is missing.
        if "animated" not in name and "fax" not in name:
            assert "cannot be read" in refusal(path)


def _png_header(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(bytes(100)))):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        parts += [struct.pack(">I", len(data)), kind, data, crc]
    return b"".join(parts)


@pytest.mark.parametrize("side", [9_460, 15_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_declared_size(tmp_path: Path, side: int) -> None:
    """Just above the limit; above Pillow's limit to warn, and above its limit to raise."""
    path = tmp_path / "bomb.png"
    path.write_bytes(_png_header(side, side))
    assert side**2 > MAX_PIXELS
    assert "(more than 89 million pixels); save it smaller, or remove it" in refusal(path)


def test_a_bomb_of_text_is_refused(tmp_path: Path) -> None:
    text = b"Comment\0\0" + zlib.compress(bytes(PngImagePlugin.MAX_TEXT_CHUNK * 4))
    (tmp_path / "text.png").write_bytes(_png_header(4, 4, (b"zTXt", text)))
    assert "too large" in refusal(tmp_path / "text.png")


def test_a_file_too_large_to_read_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "huge.webp").open("wb") as file:
        file.write(b"RIFF\0\0\0\0WEBPVP8 ")
        file.truncate(MAX_BYTES + 1)  # takes no room on the disk
    assert "the limit is 1 GiB" in refusal(tmp_path / "huge.webp")


def test_damage_gives_a_picture_or_one_line(
    tmp_path: Path, photo: Image.Image, capfd: pytest.CaptureFixture[str]
) -> None:
    """Five ways of damage; tests/proofs/test_image_fuzz.py has many more files."""
    seeds = image_files([photo.crop((300, 200, 332, 232))])
    outcomes = set()
    for name, content in damaged(seeds, 100, seed=1).items():
        path = tmp_path / name
        path.write_bytes(content)
        try:
            outcomes.add(decode_or_refuse(path, key="image", side=32).size)
        except ConfigError as error:
            message = str(error)
            assert name in message and len(message.splitlines()) == 1
            outcomes.add(None)
    assert outcomes == {(32, 32), None}
    # libtiff likes to talk past Python.
    assert capfd.readouterr() == ("", "")
