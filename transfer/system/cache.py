"""What is costly to make, kept on disk under a key for the next process that wants it.

Below ~/.cache/transfer-comparison ($XDG_CACHE_HOME is heeded; TRANSFER_CACHE names another folder).
An entry appears whole or not at all; of several processes that want the same one makes it. When all
entries take more than TRANSFER_CACHE_GB gigabytes, the least recently used go; unless it is set,
more than 10, or than half of what the disk would have free without the cache. Those that a living
process has used stay, and so does the newest of each kind: a sweep needs its data sets again.
Everything in the folder may be deleted while nothing runs.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import safetensors.torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from torch import Tensor

from transfer.system.digest import state_digest
from transfer.system.errors import ConfigError

log = logging.getLogger(__name__)

Value = TypeVar("Value")

# Part of every key: to be raised when what is kept under a key changes.
_VERSION = 2
_MOST_BYTES = 10 * 10**9
_BOUND = "TRANSFER_CACHE_GB"
_USERS = "users"


def cache_folder() -> Path:
    """Where everything is kept; need not exist yet."""
    if chosen := os.environ.get("TRANSFER_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "transfer-comparison"


def disk_cache() -> DiskCache:
    """The process's only one of the folder that the environment names now."""
    return _cache_in(cache_folder())


class DiskCache:
    """The entries below a folder, as one process uses them: no process evicts what it has used for
    as long as this object lives.

    An entry is a path without suffix. Its main file ends in `.safetensors` and is written last;
    others have the same stem. What ends in `.unfinished` is deleted when the maker is done or dead.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A file that this process keeps locked, and beside it the entries that it has used.
        self._user = FileLock(folder / _USERS / f"{uuid.uuid4().hex}.lock", thread_local=False)
        self._used: set[Path] = set()

    def tensors(
        self, kind: str, key: object, make: Callable[[], Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """The tensors of `key`, on the CPU; a file whose content is not what was written is made
        again. The arguments are those of `load_or_make`."""

        def save(made: dict[str, Tensor], entry: Path) -> dict[str, Tensor]:
            write_tensors(made, entry)
            return made

        return self.load_or_make(
            kind, key, load=read_tensors, make=lambda _: _contiguous(make()), save=save
        )

    def load_or_make(
        self,
        kind: str,
        key: object,
        *,
        load: Callable[[Path], Value | None],
        make: Callable[[Path], Value],
        save: Callable[[Value, Path], Value],
    ) -> Value:
        """What is kept under `key`, else made and kept. Where the folder cannot be written, it is
        made each time.

        Args:
            kind: name of a folder within the cache.
            key: everything that the value depends on, of what JSON knows.
            load: reads an entry; None where it is missing or damaged.
            make: gives the value; what it raises is raised once, as it is. It is told the entry,
                and may write unfinished files of it.
            save: writes the entry, and gives the value to go on with.

        Raises:
            ConfigError: TRANSFER_CACHE_GB is no number.
        """
        _chosen_bound()
        digest = hashlib.sha256(json.dumps([_VERSION, key], sort_keys=True).encode()).hexdigest()
        entry = self.folder / kind / digest[:32]
        if (kept := self._load(entry, load)) is not None:
            return kept
        self._make_room()
        with self._making(entry) as writable:
            # Another process may have made it while this one waited.
            if writable and (kept := self._load(entry, load)) is not None:
                return kept
            value = make(entry)
            if writable:
                try:
                    value = save(value, entry)
                except OSError as error:
                    _say_nothing_is_kept(entry, error)
        self._make_room()
        return value

    def _load(self, entry: Path, load: Callable[[Path], Value | None]) -> Value | None:
        # Before it is looked for, so that nobody deletes it in between.
        self._note_use(entry)
        value = load(entry)
        if value is not None:
            with suppress(OSError):
                os.utime(main_file(entry))  # the least recently used go first
        return value

    def _note_use(self, entry: Path) -> None:
        if entry in self._used:
            return
        with suppress(OSError):
            if not self._user.is_locked:
                Path(self._user.lock_file).parent.mkdir(parents=True, exist_ok=True)
                self._user.acquire()
            with Path(self._user.lock_file).with_suffix(".used").open("a") as file:
                file.write(f"{entry.relative_to(self.folder)}\n")
            self._used.add(entry)

    @contextmanager
    def _making(self, entry: Path) -> Iterator[bool]:
        """Keep others from making this entry; False where the folder cannot be written."""
        lock = FileLock(entry.with_suffix(".lock"))
        writable = True
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            _say_nothing_is_kept(entry, error)
            writable = False
        try:
            if writable:
                _delete(_unfinished(entry))
            yield writable
        finally:
            if writable:
                _release(lock, entry)

    def _make_room(self) -> None:
        """Delete what the killed have left, and then the least recently used entries until the
        rest is within bounds."""
        files = defaultdict(list)
        for path in self.folder.glob("*/*"):
            if path.parent.name != _USERS:
                files[path.parent / path.name.partition(".")[0]].append(path)
        finished = {}
        for entry, paths in files.items():
            if main_file(entry) not in paths or any(map(_is_leftover, paths)):
                _clear(entry)
            with suppress(FileNotFoundError):
                size = sum(path.stat().st_size for path in paths if not _is_leftover(path))
                finished[entry] = (main_file(entry).stat().st_mtime, size)
        total = sum(size for _, size in finished.values())
        by_age = sorted(finished, key=lambda entry: finished[entry][0])
        # Whatever their size: features of a large data set must not cost the data set.
        newest = {entry.parent: entry for entry in by_age}.values()
        kept = {*newest, *self._used_by_the_living()}
        most = self._most_bytes(total)
        for entry in by_age:
            if total > most and entry not in kept:
                _delete([main_file(entry), *files[entry]])
                total -= finished[entry][1]

    def _most_bytes(self, total: int) -> float:
        chosen = _chosen_bound()
        if chosen is not None:
            return chosen
        try:
            free = shutil.disk_usage(self.folder).free
        except OSError:
            return _MOST_BYTES
        return min(_MOST_BYTES, (free + total) / 2)

    def _used_by_the_living(self) -> set[Path]:
        """The entries that living processes have used; what the dead noted is deleted."""
        used = set(self._used)
        for path in self.folder.glob(f"{_USERS}/*.lock"):
            if path == Path(self._user.lock_file):
                continue
            lock, noted = FileLock(path), path.with_suffix(".used")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                with suppress(OSError):
                    used |= {self.folder / line for line in noted.read_text().splitlines()}
            except OSError:
                continue
            else:
                _delete([noted, path])
                lock.release()
        return used


@cache
def _cache_in(folder: Path) -> DiskCache:
    return DiskCache(folder)


def main_file(entry: Path) -> Path:
    """Where the tensors of an entry lie; it is there when all of the entry is."""
    return entry.with_suffix(".safetensors")


def unfinished(path: Path) -> Path:
    """What a file of an entry is called until it is whole."""
    return path.with_name(f"{path.name}.unfinished")


def read_tensors(entry: Path) -> dict[str, Tensor] | None:
    """The tensors of an entry; None where they are missing or not what was written."""
    try:
        with safe_open(main_file(entry), framework="np") as file:
            expected = (file.metadata() or {}).get("digest")
        tensors = safetensors.torch.load_file(main_file(entry))
    except (OSError, SafetensorError):
        return None
    return tensors if state_digest(tensors) == expected else None


def write_tensors(tensors: dict[str, Tensor], entry: Path) -> None:
    """Write the main file of an entry; OSError where the disk does not take it."""
    path = unfinished(main_file(entry))
    try:
        safetensors.torch.save_file(tensors, path, metadata={"digest": state_digest(tensors)})
    except SafetensorError as error:
        raise OSError(str(error)) from error
    finish(path, main_file(entry))


def finish(path: Path, name: Path) -> None:
    """Give a whole file its name, once it is safe from a power cut."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    path.replace(name)


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As they come from disk too: a sum over another layout may round otherwise."""
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _chosen_bound() -> float | None:
    """In bytes."""
    chosen = os.environ.get(_BOUND)
    if not chosen:
        return None
    try:
        gigabytes = float(chosen)
    except ValueError:
        gigabytes = -1
    if not gigabytes >= 0:
        problem = "give the gigabytes that kept images and features may take, such as 20"
        raise ConfigError(_BOUND, chosen, problem)
    return gigabytes * 10**9


def _say_nothing_is_kept(entry: Path, error: OSError) -> None:
    log.info("nothing is kept in %s (%s)", entry.parent, error)


def _is_leftover(path: Path) -> bool:
    return path.suffix in (".lock", ".unfinished")


def _unfinished(entry: Path) -> list[Path]:
    return list(entry.parent.glob(f"{entry.name}.*unfinished"))


def _clear(entry: Path) -> None:
    """Delete what a killed maker left of an entry, unless another is making it now."""
    lock = FileLock(entry.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return
    if not main_file(entry).exists():
        _delete(each for each in entry.parent.glob(f"{entry.name}.*") if each.suffix != ".lock")
    _release(lock, entry)


def _release(lock: FileLock, entry: Path) -> None:
    # The lock's own file goes while it is held: who waits for it looks whether it is still there.
    _delete([*_unfinished(entry), Path(lock.lock_file)])
    lock.release()


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        # Elsewhere than on Linux, a file that somebody has open may stay.
        with suppress(OSError):
            path.unlink(missing_ok=True)
