"""Small pictures of test images beside a run's answers, so that a report made from the store alone
can show what a network takes for what; knows no torch.

A run keeps those that it gets wrong: what two networks answer differently, at least one of them
gets wrong, so that between them they hold such pictures, too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Of a run, at most: bytes of all, pixels of a side.
_MOST_BYTES = 1_000_000
_MOST_SIDE = 64
# Above it a file grows faster than what an eye sees in it.
_QUALITY = 88


@dataclass(frozen=True)
class Example:
    """A test image.

    Attributes:
        jpeg: a file of at most 64 pixels a side: what the network is shown, before it is
            normalised.
        name: of the image's file, relative to `data.root`; empty where it has none.
    """

    jpeg: bytes
    name: str


def decode(jpeg: bytes) -> Image.Image:
    """The picture of an example, RGB.

    Raises:
        ValueError: it is too large.
        OSError: it is damaged, or no JPEG.
    """
    with Image.open(BytesIO(jpeg), formats=["JPEG"]) as image:
        if max(image.size) > _MOST_SIDE:
            raise ValueError(f"a picture of {image.size} pixels")
        return image.convert("RGB")


def write_examples(path: Path, images: Iterable[tuple[int, NDArray[np.uint8], str]]) -> None:
    """Keep some test images, as far as they take no more than 1 MB.

    Args:
        path: of an .npz file: int64 `index` [M] of each in the test split, uint8 `jpeg`, the files
            of all one after another, int64 `ends` [M] of each in it, and text `names` [M].
        images: the number of each in the test split, its levels, uint8 [3, H, W], and the name of
            its file, or nothing.
    """
    kept: list[tuple[int, bytes, str]] = []
    room = _MOST_BYTES
    for index, levels, name in images:
        jpeg = _encode(levels)
        room -= len(jpeg) + len(name.encode())
        if room < 0:
            break
        kept.append((index, jpeg, name))
    np.savez_compressed(
        path,
        index=np.array([index for index, _, _ in kept], dtype=np.int64),
        ends=np.cumsum([len(jpeg) for _, jpeg, _ in kept], dtype=np.int64),
        jpeg=np.frombuffer(b"".join(jpeg for _, jpeg, _ in kept), dtype=np.uint8),
        names=np.array([name for _, _, name in kept], dtype=np.str_),
    )


def read_examples(path: Path) -> dict[int, Example]:
    """What `write_examples` kept, by the image's number in the test split.

    Raises:
        Exception: the file, or a picture in it, is damaged.
    """
    # allow_pickle=False is numpy's default; said here because nothing from a file may run.
    with np.load(path, allow_pickle=False) as saved:
        pictures = np.split(saved["jpeg"], saved["ends"])[:-1]
        parts = zip(saved["index"].tolist(), pictures, saved["names"].tolist(), strict=True)
        examples = {index: Example(jpeg.tobytes(), name) for index, jpeg, name in parts}
    for example in examples.values():
        decode(example.jpeg)
    return examples


def _encode(levels: NDArray[np.uint8]) -> bytes:
    """A small JPEG of uint8 [3, H, W]; colours as fine as shapes, for small pictures have few
    pixels of either."""
    grey = bool((levels == levels[0]).all())
    image = Image.fromarray(levels[0] if grey else levels.transpose(1, 2, 0))
    image.thumbnail((_MOST_SIDE, _MOST_SIDE), Image.Resampling.LANCZOS)
    file = BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    return file.getvalue()
