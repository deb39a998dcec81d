"""Decoded data sets, kept on disk: decoding tens of thousands of files takes longer than reading
one. What is kept is used again only while every file is as it was, by name, size and times."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from torch import Tensor

from transfer.data.image_data import Source, Split, content_digest
from transfer.system.cache import load_or_make

_SPLITS = ("train", "val", "test")
# To be raised when a source holds something else.
_VERSION = 2


def read_through_cache(
    key: str,
    originals: Sequence[Path],
    read: Callable[[], Source],
    resident_gb: float = math.inf,
) -> tuple[Source, str]:
    """A decoded data set and its content digest, from the cache where it holds them.

    Args:
        key: what else decides how the files are read.
        originals: files and folders that the data set is read from; without any, nothing is kept.
        read: decodes them.
        resident_gb: in units of 10^9 bytes; a larger set is a map of the file in the cache.
    """
    files = files_digest(originals)
    if files is None:
        source = read()
        return source, content_digest(source)
    # Another Pillow may decode a JPEG otherwise.
    tensors = load_or_make(
        "decoded",
        [_VERSION, key, files, PIL.__version__],
        lambda: _pack(read()),
        mapped_above=resident_gb * 10**9,
    )
    return _unpack(tensors)


def files_digest(originals: Sequence[Path]) -> str | None:
    """Names, sizes and times of change of all files; None where there is none, or one that cannot
    be looked at: whoever reads it has the words for that.

    A file that is written anew, replaced or touched gets another time, whatever its content; the
    inode's time of change cannot be set back.
    """
    digest, found = hashlib.sha256(), False
    try:
        for original in originals:
            for path, status in _files(original.absolute(), set()):
                times = (status.st_mtime_ns, status.st_ctime_ns)
                line = f"{path}\0{status.st_size}\0{times}\0"
                digest.update(line.encode("utf-8", "surrogateescape"))
                found = True
    except OSError:
        return None
    return digest.hexdigest() if found else None


def _files(path: Path, seen: set[tuple[int, int]]) -> Iterator[tuple[str, os.stat_result]]:
    """Every file at or below `path`, in an order that does not depend on the disk's.

    Args:
        seen: folders on the way here, by device and inode: links may loop.
    """
    if path.is_file():
        yield str(path), path.stat()
    elif path.is_dir():
        status = path.stat()
        here = (status.st_dev, status.st_ino)
        if here in seen:
            return
        # os.scandir is much faster than pathlib on tens of thousands of files.
        with os.scandir(path) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir():
                yield from _files(Path(entry.path), {*seen, here})
            elif entry.is_file():
                yield entry.path, entry.stat()


def _pack(source: Source) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name in _SPLITS:
        split: Split | None = getattr(source, name)
        if split is not None:
            tensors |= {f"{name}.images": split.images, f"{name}.labels": split.labels}
            if split.files is not None:
                tensors[f"{name}.files"] = split.files
    others = {name: getattr(source, name) for name in _other_fields()}
    about = {"digest": content_digest(source), "others": others}
    text = json.dumps(about).encode()
    tensors["about"] = torch.from_numpy(np.frombuffer(text, np.uint8).copy())
    return tensors


def _unpack(tensors: dict[str, Tensor]) -> tuple[Source, str]:
    about = json.loads(tensors["about"].numpy().tobytes())
    parts: dict[str, Any] = {name: tuple(value) for name, value in about["others"].items()}
    for name in _SPLITS:
        if f"{name}.images" in tensors:
            images, labels = tensors[f"{name}.images"], tensors[f"{name}.labels"]
            parts[name] = Split(images, labels, files=tensors.get(f"{name}.files"))
    return Source(**parts), about["digest"]


def _other_fields() -> list[str]:
    """What a source holds beside its splits: tuples of text."""
    return [field.name for field in fields(Source) if field.name not in _SPLITS]
