"""Decoded data sets, kept on disk: decoding tens of thousands of files takes longer than reading
one. What is kept is used again only while every file is as it was, by name, size and times.

An entry of the cache has a file of all images, and a small one of labels, names and digests.
"""

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

from transfer.data.image_buffer import map_images
from transfer.data.image_data import Source, Split, pack_names
from transfer.system.cache import disk_cache, read_tensors, write_tensors
from transfer.system.digest import hex_digest

_IMAGES = "images"
_SPLITS = ("train", "val", "test")
# What a split holds beside its images and labels.
_PER_SPLIT = ("files", "names", "sums", "thumbnails", "shards")
# What a source holds beside them: tuples of text.
_OTHERS = ("classes", "skipped", "remarks")
# To be raised when a source holds something else.
_VERSION = 7


def read_through_cache(
    key: str,
    originals: Sequence[Path],
    read: Callable[[Path], Source],
    resident_gb: float = math.inf,
) -> Source:
    """A decoded data set, from the cache where it holds it.

    Args:
        key: what else decides how the files are read.
        originals: files and folders that the data set is read from; without any, nothing is kept.
        read: decodes them. It is told a file into which the levels of all images, those of the
            splits one after another, may go where they are too many for the memory.
        resident_gb: in units of 10^9 bytes; a larger set is a map of its file. Only of a smaller
            one is every byte checked: it is read as a whole anyway.
    """

    def load(folder: Path) -> Source | None:
        return _load(folder, resident_gb)

    def save(source: Source, folder: Path) -> Source:
        _save(source, folder)
        # A large one is a map from now on.
        return (load(folder) if source.nbytes > resident_gb * 10**9 else None) or source

    files = files_digest(originals)
    # Another Pillow may decode a JPEG otherwise. A key that nobody else has serves for the file of
    # the images alone.
    full_key = [_VERSION, key, files or uuid.uuid4().hex, PIL.__version__]
    return disk_cache().load_or_make(
        "decoded",
        full_key,
        load=load,
        make=lambda folder: read(folder / _IMAGES),
        save=save if files else None,
    )


def files_digest(originals: Sequence[Path]) -> str | None:
    """Names, sizes and times of change of all files; None where there is none, or one that cannot
    be looked at: whoever reads it has the words for that.

    A file that is written anew, replaced or touched gets another time, whatever its content; the
    inode's time of change cannot be set back.
    """
    lines = []
    try:
        for path in (path for original in originals for path in _files(original.absolute())):
            status = path.stat()
            about = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            lines.append(f"{path}\0{about}\0".encode("utf-8", "surrogateescape"))
    except OSError:
        return None
    return hex_digest(lines) if lines else None


def _files(top: Path) -> Iterator[Path]:
    """Every file at or below `top`, in an order that does not depend on the disk's."""

    def leads_back(path: Path) -> bool:
        return path.is_symlink() and any(map(path.samefile, path.parents))

    def fail(error: OSError) -> None:
        raise error

    if top.is_file():
        yield top
    if not top.is_dir():
        return
    for name, folders, files in os.walk(top, followlinks=True, onerror=fail):
        folder = Path(name)
        folders[:] = sorted(each for each in folders if not leads_back(folder / each))
        yield from filter(Path.is_file, (folder / each for each in sorted(files)))


def _save(source: Source, folder: Path) -> None:
    path = folder / _IMAGES
    if not path.exists():
        with path.open("wb") as file:
            for split in source.splits.values():
                for piece in split.pieces():
                    file.write(piece.numpy().data)
    count = sum(len(split) for split in source.splits.values())
    about: dict[str, object] = {name: getattr(source, name) for name in _OTHERS}
    about |= {"digest": source.digest, "content": source.content_digest}
    about["shape"] = [count, *source.train.stored.shape[1:]]
    text = bytearray(json.dumps(about).encode())
    tensors = {"about": torch.frombuffer(text, dtype=torch.uint8)}
    for name, split in source.splits.items():
        names = pack_names(split.file_names(torch.arange(len(split))))
        needed = {"labels": split.labels, "sums": split.channel_sums()}
        parts = needed | {name: getattr(split, name) for name in _PER_SPLIT if name != "sums"}
        parts["names"] = names
        tensors |= {f"{name}.{part}": each for part, each in parts.items() if each is not None}
    write_tensors(tensors, folder)


def _load(folder: Path, resident_gb: float) -> Source | None:
    tensors = read_tensors(folder)
    if tensors is None:
        return None
    about = json.loads(tensors["about"].numpy().tobytes())
    path, size = folder / _IMAGES, math.prod(about["shape"])
    resident = size <= resident_gb * 10**9
    try:
        if path.stat().st_size != size:
            return None
        if resident:
            images = torch.from_numpy(np.fromfile(path, np.uint8)).view(about["shape"])
        else:
            images = map_images(path, about["shape"])
    except OSError:
        return None
    parts: dict[str, Any] = {name: tuple(about[name]) for name in _OTHERS}
    for name in _SPLITS:
        if (labels := tensors.get(f"{name}.labels")) is not None:
            more = {part: tensors.get(f"{name}.{part}") for part in _PER_SPLIT}
            parts[name] = Split(images[: len(labels)], labels, **more)
            images = images[len(labels) :]
    source = Source(**parts, known_digest=about["digest"])
    return source if not resident or source.content_digest == about["content"] else None
