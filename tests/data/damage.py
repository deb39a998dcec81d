"""Image files of every kind that is read, and what keeps them from being read."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfer.data.decode import decode_or_refuse
from transfer.system.errors import ConfigError

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def image_files(pictures: Sequence[Image.Image]) -> dict[str, bytes]:
    """The bytes of RGB pictures as files: by a name with the suffix of their format."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    files = {}
    for index, picture in enumerate(pictures):
        more = [each.resize(picture.size) for each in pictures]
        grey16 = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
        alpha = picture.copy()
        alpha.putalpha(picture.convert("L"))
        frames = {"save_all": True, "append_images": more}
        kinds: dict[str, tuple[Image.Image, dict[str, object]]] = {
            "plain.jpg": (picture, {}),
            "progressive.jpg": (picture, {"progressive": True, "exif": exif}),
            "cmyk.jpg": (picture.convert("CMYK"), {}),
            "plain.png": (picture, {}),
            "palette.png": (picture.convert("P"), {"transparency": 3}),
            "alpha.png": (alpha, {"exif": exif}),
            "grey16.png": (grey16, {}),
            "animated.png": (picture, frames),
            "animated.gif": (picture, frames),
            "plain.bmp": (picture, {}),
            "palette.bmp": (picture.convert("P"), {}),
            "plain.tif": (picture, {}),
            "lzw.tif": (alpha, {"compression": "tiff_lzw"}),
            "deflate.tif": (grey16, {"compression": "tiff_adobe_deflate"}),
            "jpeg.tif": (picture, {"compression": "jpeg"}),
            "fax.tif": (picture.convert("1"), {"compression": "group4"}),
            "lossy.webp": (picture, {}),
            "lossless.webp": (alpha, {"lossless": True}),
            "animated.webp": (picture, frames),
            "plain.ppm": (picture, {}),
        }
        for name, (image, options) in kinds.items():
            file = io.BytesIO()
            suffix = name.rpartition(".")[2]
            kind = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
            image.save(file, kind, **options)
            files[f"{index}-{name}"] = file.getvalue()
    return files


def refusal(path: Path) -> str:
    """The line in which decoding a file is refused."""
    with pytest.raises(ConfigError) as refused:
        decode_or_refuse(path, key="image")
    line = str(refused.value)
    assert path.name in line and len(line.splitlines()) == 1
    return line


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's right to read everything, where the tests run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def damaged(files: dict[str, bytes], count: int, seed: int) -> dict[str, bytes]:
    """`count` files, each damaged in one of five ways; the same for the same seed."""
    random = np.random.default_rng(seed)
    names = sorted(files)
    result = {}
    for number in range(count):
        name = names[number % len(names)]
        way = _WAYS[number // len(names) % len(_WAYS)]
        other = files[names[random.integers(len(names))]]
        content = way(bytearray(files[name]), other, random)
        result[f"{number:04}-{way.__name__.strip('_')}-{name}"] = bytes(content)
    return result


def _flip_bits(content: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    for index in random.integers(len(content), size=random.integers(1, 17)):
        content[index] ^= 1 << random.integers(8)
    return content


def _truncate(content: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    return content[: random.integers(len(content))]


def _splice(content: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    return content[: random.integers(len(content))] + other[random.integers(len(other)) :]


def _edit_header(content: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    """Put extreme numbers where sizes, counts and offsets are: a TIFF has its header at the end."""
    for _ in range(random.integers(1, 4)):
        width = int(random.choice((1, 2, 4)))
        value = int(random.choice(_EXTREMES)) % 256**width
        order = "little" if random.integers(2) else "big"
        start = int(random.integers(min(len(content), 200) - width))
        start = len(content) - width - start if random.integers(2) else start
        content[start : start + width] = value.to_bytes(width, order)
    return content


def _move(content: bytearray, other: bytes, random: np.random.Generator) -> bytearray:
    """Take a stretch out, and put it in again elsewhere, once or several times."""
    start, end = sorted(random.integers(len(content), size=2))
    stretch = content[start:end]
    del content[start:end]
    index = random.integers(len(content) + 1)
    content[index:index] = stretch * random.integers(4)
    return content


_WAYS = (_flip_bits, _truncate, _splice, _edit_header, _move)
