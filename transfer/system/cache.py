"""Tensors that are costly to make, kept on disk under a key for the next process that wants them.

Below ~/.cache/transfer-comparison ($XDG_CACHE_HOME is heeded; TRANSFER_CACHE names another folder).
A file appears whole or not at all, of several processes that want the same one makes it, and a
damaged one is made again. The least recently used go when all of them exceed 10 GB, but for the
newest of each kind. Everything in the folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from torch import Tensor

from transfer.system.digest import state_digest
from transfer.system.errors import first_line

log = logging.getLogger(__name__)

_MOST_BYTES = 10 * 10**9
_MAPPED_TYPES = {"U8": np.uint8, "I64": np.int64}
# Part of every key: to be raised when what is kept under a key changes.
_VERSION = 1


def cache_folder() -> Path:
    """Where everything is kept; need not exist yet."""
    if chosen := os.environ.get("TRANSFER_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "transfer-comparison"


def load_or_make(
    kind: str,
    key: object,
    make: Callable[[], Mapping[str, Tensor]],
    *,
    mapped_above: float = math.inf,
) -> dict[str, Tensor]:
    """The tensors of `key`, from disk if they are there, else made and kept.

    Where the folder cannot be written, they are made each time.

    Args:
        kind: name of a folder within the cache.
        key: everything that the tensors depend on, of what JSON knows.
        make: gives CPU tensors.
        mapped_above: of a file of more bytes, the tensors (of uint8 or int64) are maps: their
            pages are read when they are asked for, the kernel may drop them at any time, and to
            write to them kills the process.
    """
    digest = hashlib.sha256(json.dumps([_VERSION, key], sort_keys=True).encode()).hexdigest()
    path = cache_folder() / kind / f"{digest[:32]}.safetensors"
    tensors = _read(path, mapped_above)
    if tensors is not None:
        return tensors
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            # Another process may have made it while this one waited.
            tensors = _read(path, mapped_above)
            if tensors is None:
                tensors = _contiguous(make())
                _write(tensors, path)
                if path.stat().st_size > mapped_above:
                    tensors = _map(path)
    except OSError as error:
        log.info("nothing is kept in %s (%s)", path.parent, error)
        return tensors if tensors is not None else _contiguous(make())
    return tensors


def _read(path: Path, mapped_above: float) -> dict[str, Tensor] | None:
    """The tensors in a file; None where it is missing or not what was written."""
    try:
        with safe_open(path, framework="np") as file:
            expected = (file.metadata() or {}).get("digest")
        mapped = path.stat().st_size > mapped_above
        tensors = _map(path) if mapped else safetensors.torch.load_file(path)
        if state_digest(tensors) != expected:
            return None
        os.utime(path)  # the least recently used go first
    except (OSError, SafetensorError):
        return None
    except RuntimeError as error:
        # torch's words where so much cannot be mapped.
        raise MemoryError(first_line(error)) from error
    return tensors


def _map(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, mapped for reading.

    safetensors maps too, but for writing to a private copy, which Linux counts as memory: it
    refuses what is larger than the machine has.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        content = np.memmap(file, np.uint8, "r", offset=8 + length)
    header.pop("__metadata__", None)
    tensors = {}
    for name, about in header.items():
        begin, end = about["data_offsets"]
        values = content[begin:end].view(_MAPPED_TYPES[about["dtype"]]).reshape(about["shape"])
        with warnings.catch_warnings():
            # torch has no tensors that cannot be written to, and says so.
            warnings.simplefilter("ignore", UserWarning)
            tensors[name] = torch.from_numpy(values)
    return tensors


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As they come from disk too: a sum over another layout may round otherwise."""
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _write(tensors: dict[str, Tensor], path: Path) -> None:
    # The lock keeps others away from this name, and a kill leaves no more than one such file.
    unfinished = path.with_suffix(".unfinished")
    metadata = {"digest": state_digest(tensors)}
    try:
        safetensors.torch.save_file(tensors, unfinished, metadata=metadata)
    except SafetensorError as error:
        unfinished.unlink(missing_ok=True)
        raise OSError(str(error)) from error
    unfinished.replace(path)
    _make_room()


def _make_room() -> None:
    """Delete the least recently used files until what is left is within bounds."""
    files = []
    for path in cache_folder().glob("*/*.safetensors"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        files.append((status.st_mtime, status.st_size, path))
    files.sort()
    total = sum(size for _, size, _ in files)
    # Whatever their size: features of a large data set must not cost the data set.
    newest = {path.parent: path for _, _, path in files}.values()
    for _, size, path in files:
        if total <= _MOST_BYTES:
            break
        if path not in newest:
            path.unlink(missing_ok=True)
            total -= size
