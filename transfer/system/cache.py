"""What is costly to make, kept on disk under a key for the next process that wants it.

Below ~/.cache/transfer-comparison ($XDG_CACHE_HOME is heeded; TRANSFER_CACHE names another folder).
An entry appears whole or not at all; of several processes that want the same one makes it. When all
entries take more than TRANSFER_CACHE_GB gigabytes, the least recently used go; unless it is set,
more than 10, or than half of what the disk would have free without the cache. Those that a living
process has used stay, and so does the newest of each kind: a sweep needs its data sets again.
Everything in the folder may be deleted while nothing runs.
"""

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO, TypeVar

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from transfer.system.digest import hex_digest, state_digest
from transfer.system.errors import ConfigError
from transfer.system.lock import Lock, lock_open_file

log = logging.getLogger(__name__)

Value = TypeVar("Value")

# Part of every key: to be raised when what is kept under a key changes.
_VERSION = 3
_MOST_BYTES = 10 * 10**9
_BOUND = "TRANSFER_CACHE_GB"
# A process may open about a thousand files.
_MOST_HELD = 200
# On a disk without locks nobody knows who needs an entry: what nobody took for a day may go.
_UNUSED_S = 86_400.0


class DiskCache:
    """The entries below a folder. For as long as this object lives, no process evicts those that
    were last used through it. ConfigError where TRANSFER_CACHE_GB is no number.

    An entry is a folder of files, among them `tensors.safetensors`. Beside it are, while it is
    made, a lock and its files so far, under the suffixes `.lock` and `.unfinished`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._chosen_bound = _chosen_bound()
        # The main files of entries, open and locked.
        self._held: dict[Path, BinaryIO] = {}

    def tensors(
        self, kind: str, key: object, make: Callable[[], Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """The tensors of `key`, on the CPU, as `load_or_make` gives values; those of a file whose
        content is not what was written are made again."""

        def contiguous(_: Path) -> dict[str, Tensor]:
            # As they come from disk too: a sum over another layout may round otherwise.
            return {name: tensor.contiguous() for name, tensor in make().items()}

        return self.load_or_make(kind, key, load=read_tensors, make=contiguous, save=write_tensors)

    def load_or_make(
        self,
        kind: str,
        key: object,
        *,
        load: Callable[[Path], Value | None],
        make: Callable[[Path], Value],
        save: Callable[[Value, Path], Value] | None,
    ) -> Value:
        """What is kept under `key`, else made and kept. Where the folder cannot be written, it is
        made each time.

        Args:
            kind: name of a folder within the cache.
            key: everything that the value depends on, of what JSON knows.
            load: reads an entry; None where it is missing or damaged.
            make: gives the value; what it raises is raised once, as it is. It is told the folder
                that becomes the entry, and may make it, and files in it.
            save: writes the other files, and gives the value to go on with; None: keep nothing.
        """
        name = hex_digest([json.dumps([_VERSION, key], sort_keys=True).encode()])
        entry = self.folder / kind / name
        if (kept := self._load(entry, load)) is not None:
            return kept
        self._make_room()
        unfinished = entry.with_suffix(".unfinished")
        with _alone_with(entry) as writable:
            # Another process may have made it while this one waited.
            if writable and (kept := self._load(entry, load)) is not None:
                return kept
            value = make(unfinished)
            if writable and save is not None:
                try:
                    unfinished.mkdir(exist_ok=True)
                    value = save(value, unfinished)
                    _finish(unfinished, entry)
                    self._hold(entry)
                except OSError as error:
                    _say_nothing_is_kept(entry, error)
        self._make_room()
        return value

    def bound(self) -> float:
        """How many bytes all entries together may take."""
        files = (file for file in self.folder.glob("*/*/*"))
        total = 0
        for file in files:
            with suppress(OSError):
                total += file.stat().st_size
        return self._bound(total)

    def _bound(self, total: int) -> float:
        """The same, where they take `total` now."""
        if self._chosen_bound is not None:
            return self._chosen_bound
        there = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        return min(_MOST_BYTES, (shutil.disk_usage(there).free + total) / 2)

    def _load(self, entry: Path, load: Callable[[Path], Value | None]) -> Value | None:
        # First, so that nobody deletes it meanwhile.
        self._hold(entry)
        value = load(entry)
        if value is not None:
            with suppress(OSError):
                os.utime(entry)  # the least recently used go first
        return value

    def _hold(self, entry: Path) -> None:
        """Keep everybody from evicting an entry, if it is there."""
        self._held.pop(entry, None)
        with suppress(OSError):
            file = _main_file(entry).open("rb")
            lock_open_file(file, shared=True)
            self._held[entry] = file
        if len(self._held) > _MOST_HELD:
            del self._held[next(iter(self._held))]

    def _make_room(self) -> None:
        """Delete what the killed have left, and then the least recently used entries until the
        rest is within bounds."""
        used: dict[Path, float] = {}
        sizes: dict[Path, int] = {}
        for path in self.folder.glob("*/*"):
            with suppress(OSError):
                if not path.suffix and _main_file(path).exists():
                    used[path] = path.stat().st_mtime
                    sizes[path] = sum(file.stat().st_size for file in path.iterdir())
                else:
                    with Lock(path.with_suffix(".lock")):
                        _delete(path)
                        _delete(path.with_suffix(".lock"))
        total = sum(sizes.values())
        most = self._bound(total) if sizes else 0
        by_age = sorted(sizes, key=lambda entry: used[entry])
        # Whatever their size: features of a large data set must not cost the data set.
        newest = {entry.parent: entry for entry in by_age}.values()
        for entry in by_age:
            if total > most and entry not in newest:
                with suppress(OSError), _main_file(entry).open("rb+") as file:
                    if lock_open_file(file, shared=False) or used[entry] < time.time() - _UNUSED_S:
                        _delete(entry)
                        total -= sizes[entry]


def cache_folder() -> Path:
    """Where everything is kept; need not exist yet.

    Raises:
        ConfigError: nothing names a folder, and there is no home.
    """
    chosen = os.environ.get("TRANSFER_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        if chosen:
            return Path(chosen).expanduser()
        return Path(base).expanduser() / "transfer-comparison"
    except RuntimeError as error:
        problem = "this user has no home folder; give a folder for decoded images and the like"
        raise ConfigError("TRANSFER_CACHE", chosen, problem) from error


def disk_cache() -> DiskCache:
    """The process's only one of the folder that the environment names now."""
    return _cache_in(cache_folder())


_cache_in = cache(DiskCache)


def read_tensors(entry: Path) -> dict[str, Tensor] | None:
    """The tensors of an entry; None where they are missing or not what was written."""
    try:
        with safe_open(_main_file(entry), framework="np") as file:
            expected = (file.metadata() or {}).get("digest")
        tensors = safetensors.torch.load_file(_main_file(entry))
    except (OSError, SafetensorError):
        return None
    return tensors if state_digest(tensors) == expected else None


def write_tensors(tensors: dict[str, Tensor], entry: Path) -> dict[str, Tensor]:
    """Write the tensors of an entry, and give them back.

    Raises:
        OSError: the disk does not take them.
    """
    try:
        metadata = {"digest": state_digest(tensors)}
        safetensors.torch.save_file(tensors, _main_file(entry), metadata)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    return tensors


def _main_file(entry: Path) -> Path:
    return entry / "tensors.safetensors"


def _chosen_bound() -> float | None:
    """In bytes."""
    chosen = os.environ.get(_BOUND)
    if not chosen:
        return None
    with suppress(ValueError):
        if float(chosen) >= 0:
            return float(chosen) * 10**9
    problem = "give the gigabytes that kept images and features may take, such as 20"
    raise ConfigError(_BOUND, chosen, problem)


def _say_nothing_is_kept(entry: Path, error: OSError) -> None:
    log.info("nothing is kept in %s (%s)", entry.parent, error)


@contextmanager
def _alone_with(entry: Path) -> Iterator[bool]:
    """Make an entry while nobody else does; False where that cannot be written. Nothing
    unfinished is there before or after."""
    lock = Lock(entry.with_suffix(".lock"), timeout_s=math.inf)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        _say_nothing_is_kept(entry, error)
    if not lock.is_locked:
        yield False
        return
    try:
        _delete(entry.with_suffix(".unfinished"))
        yield True
    finally:
        _delete(entry.with_suffix(".unfinished"))
        # While it is held: whoever waits for it looks whether it is still there.
        _delete(entry.with_suffix(".lock"))
        lock.release()


def _finish(unfinished: Path, entry: Path) -> None:
    """Give the files of an entry, when they are whole, its name, safe from a power cut."""
    for path in unfinished.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    _delete(entry)
    unfinished.replace(entry)


def _delete(path: Path) -> None:
    """A file or a folder, if it is there and can be deleted."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
