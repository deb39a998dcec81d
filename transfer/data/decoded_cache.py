"""Decoded data sets, kept on disk: decoding tens of thousands of files takes longer than reading
one. What is kept is used again only while every file is as it was, by name, size and times.

An entry of the cache is a .npy file of all images, and a small one of labels, names and digests.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch

from transfer.data.image_buffer import map_images, npy_header
from transfer.data.image_data import Source, Split, content_digest
from transfer.system.cache import disk_cache, finish, read_tensors, unfinished, write_tensors

_SPLITS = ("train", "val", "test")
# What a source holds beside them: tuples of text.
_OTHERS = ("classes", "skipped", "remarks")
# To be raised when a source holds something else.
_VERSION = 3


def read_through_cache(
    key: str,
    originals: Sequence[Path],
    read: Callable[[Path], Source],
    resident_gb: float = math.inf,
) -> tuple[Source, str]:
    """A decoded data set and its content digest, from the cache where it holds them.

    Args:
        key: what else decides how the files are read.
        originals: files and folders that the data set is read from; without any, nothing is kept.
        read: decodes them. It is told a .npy file into which the images of all splits, one after
            another, may go where they are too many for the memory.
        resident_gb: in units of 10^9 bytes; a larger set is a map of its file. Only of a smaller
            one is every byte checked: it is read as a whole anyway.
    """

    def make(entry: Path) -> tuple[Source, str]:
        source = read(unfinished(_images_file(entry)))
        return source, content_digest(source)

    def load(entry: Path) -> tuple[Source, str] | None:
        return _load(entry, resident_gb)

    def save(made: tuple[Source, str], entry: Path) -> tuple[Source, str]:
        return _save(*made, entry, resident_gb)

    files = files_digest(originals)
    if files is None:
        # A key that nobody else has: it serves for the file of the images alone.
        return disk_cache().load_or_make(
            "decoded", uuid.uuid4().hex, load=lambda _: None, make=make, save=lambda made, _: made
        )
    # Another Pillow may decode a JPEG otherwise.
    full_key = [_VERSION, key, files, PIL.__version__]
    return disk_cache().load_or_make("decoded", full_key, load=load, make=make, save=save)


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


def _images_file(entry: Path) -> Path:
    return entry.with_suffix(".npy")


def _save(source: Source, digest: str, entry: Path, resident_gb: float) -> tuple[Source, str]:
    """Keep a source; a large one is a map from then on."""
    path = _images_file(entry)
    if not unfinished(path).exists():
        _write_images(source, unfinished(path))
    finish(path)
    about: dict[str, object] = {name: getattr(source, name) for name in _OTHERS}
    about |= {"digest": digest, "shape": _shape(source)}
    text = json.dumps(about).encode()
    tensors = {"about": torch.from_numpy(np.frombuffer(text, np.uint8).copy())}
    for name, split in source.splits.items():
        parts = {"labels": split.labels, "sums": split.channel_sums(), "files": split.files}
        tensors |= {f"{name}.{part}": each for part, each in parts.items() if each is not None}
    write_tensors(tensors, entry)
    large = source.nbytes > resident_gb * 10**9
    return (_load(entry, resident_gb) if large else None) or (source, digest)


def _shape(source: Source) -> list[int]:
    """The shape of all images, those of the splits one after another."""
    counts = [len(split) for split in source.splits.values()]
    return [sum(counts), *source.train.stored.shape[1:]]


def _write_images(source: Source, path: Path) -> None:
    with path.open("wb") as file:
        file.write(npy_header(_shape(source)))
        for split in source.splits.values():
            for piece in split.pieces():
                file.write(piece.numpy().data)


def _load(entry: Path, resident_gb: float) -> tuple[Source, str] | None:
    tensors = read_tensors(entry)
    if tensors is None:
        return None
    about = json.loads(tensors["about"].numpy().tobytes())
    path = _images_file(entry)
    try:
        images = map_images(path)
        whole = path.stat().st_size == len(npy_header(images.shape)) + images.nbytes
        if not whole or [*images.shape] != about["shape"] or images.dtype != torch.uint8:
            return None
        resident = images.nbytes <= resident_gb * 10**9
        if resident:
            images = torch.from_numpy(np.load(path))
    except (OSError, ValueError, EOFError):
        return None
    parts: dict[str, Any] = {name: tuple(about[name]) for name in _OTHERS}
    for name in _SPLITS:
        if (labels := tensors.get(f"{name}.labels")) is not None:
            more = {part: tensors.get(f"{name}.{part}") for part in ("files", "sums")}
            parts[name] = Split(images[: len(labels)], labels, **more)
            images = images[len(labels) :]
    source, digest = Source(**parts), about["digest"]
    return None if resident and content_digest(source) != digest else (source, digest)
