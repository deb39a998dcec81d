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
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO, TypeVar

import safetensors.torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from torch import Tensor

from transfer.system.digest import state_digest
from transfer.system.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows, where nobody deletes a file that another has open
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

Value = TypeVar("Value")

# Part of every key: to be raised when what is kept under a key changes.
_VERSION = 2
_MOST_BYTES = 10 * 10**9
_BOUND = "TRANSFER_CACHE_GB"
# A process may open about a thousand files.
_MOST_HELD = 200


def cache_folder() -> Path:
    """Where everything is kept; need not exist yet."""
    if chosen := os.environ.get("TRANSFER_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "transfer-comparison"


def disk_cache() -> DiskCache:
    """The process's only one of the folder that the environment names now."""
    return _cache_in(cache_folder())


@cache
def _cache_in(folder: Path) -> DiskCache:
    return DiskCache(folder)


class DiskCache:
    """The entries below a folder. For as long as this object lives, no process evicts those that
    were last used through it.

    An entry is a path without suffix. Its main file ends in `.safetensors` and is written last;
    others have the same stem. What ends in `.unfinished` is deleted when its maker is done or dead.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Main files, open and locked.
        self._held: dict[Path, BinaryIO] = {}

    def tensors(
        self, kind: str, key: object, make: Callable[[], Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """The tensors of `key`, on the CPU, as `load_or_make` gives values; those of a file whose
        content is not what was written are made again."""
        return self.load_or_make(
            kind, key, load=read_tensors, make=lambda _: _contiguous(make()), save=write_tensors
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
        with ExitStack() as stack:
            writable = False
            try:
                stack.enter_context(_alone_with(entry))
                writable = True
            except OSError as error:
                _say_nothing_is_kept(entry, error)
            # Another process may have made it while this one waited.
            if writable and (kept := self._load(entry, load)) is not None:
                return kept
            value = make(entry)
            if writable:
                try:
                    value = save(value, entry)
                    self._hold(entry)
                except OSError as error:
                    _say_nothing_is_kept(entry, error)
        self._make_room()
        return value

    def _load(self, entry: Path, load: Callable[[Path], Value | None]) -> Value | None:
        # First, so that nobody deletes it meanwhile.
        self._hold(entry)
        value = load(entry)
        if value is not None:
            with suppress(OSError):
                os.utime(main_file(entry))  # the least recently used go first
        return value

    def _hold(self, entry: Path) -> None:
        """Keep everybody from evicting an entry, if it is there."""
        self._held.pop(entry, None)
        with suppress(OSError):
            file = main_file(entry).open("rb")
            _lock(file, shared=True)
            self._held[entry] = file
        if len(self._held) > _MOST_HELD:
            del self._held[next(iter(self._held))]

    def _make_room(self) -> None:
        """Delete what the killed have left, and then the least recently used entries until the
        rest is within bounds."""
        files: dict[Path, list[Path]] = defaultdict(list)
        for path in self.folder.glob("*/*"):
            files[path.parent / path.name.partition(".")[0]].append(path)
        entries = {}
        for entry, paths in files.items():
            if main_file(entry) not in paths or any(map(_is_leftover, paths)):
                with suppress(OSError), _alone_with(entry, timeout=0):
                    pass
            with suppress(FileNotFoundError):
                size = sum(path.stat().st_size for path in paths if not _is_leftover(path))
                entries[entry] = (main_file(entry).stat().st_mtime, size)
        total = sum(size for _, size in entries.values())
        most = self._most_bytes(total)
        by_age = sorted(entries, key=lambda entry: entries[entry][0])
        # Whatever their size: features of a large data set must not cost the data set.
        newest = {entry.parent: entry for entry in by_age}.values()
        for entry in by_age:
            if total > most and entry not in newest:
                with suppress(OSError), main_file(entry).open("rb+") as file:
                    _lock(file, shared=False)
                    _delete([main_file(entry), *files[entry]])
                    total -= entries[entry][1]

    def _most_bytes(self, total: int) -> float:
        """The bound, where the entries take `total` bytes."""
        chosen = _chosen_bound()
        if chosen is None and self.folder.exists():
            return min(_MOST_BYTES, (shutil.disk_usage(self.folder).free + total) / 2)
        return _MOST_BYTES if chosen is None else chosen


def main_file(entry: Path) -> Path:
    """Where the tensors of an entry lie; it is there when all of the entry is."""
    return entry.with_suffix(".safetensors")


def unfinished(path: Path) -> Path:
    """What a file of an entry is called until it is whole."""
    return path.with_name(f"{path.name}.unfinished")


def finish(path: Path) -> None:
    """Give an unfinished file, when it is whole, the name `path`, safe from a power cut."""
    with unfinished(path).open("rb+") as file:
        os.fsync(file.fileno())
    unfinished(path).replace(path)


def read_tensors(entry: Path) -> dict[str, Tensor] | None:
    """The tensors of an entry; None where they are missing or not what was written."""
    try:
        with safe_open(main_file(entry), framework="np") as file:
            expected = (file.metadata() or {}).get("digest")
        tensors = safetensors.torch.load_file(main_file(entry))
    except (OSError, SafetensorError):
        return None
    return tensors if state_digest(tensors) == expected else None


def write_tensors(tensors: dict[str, Tensor], entry: Path) -> dict[str, Tensor]:
    """Write the main file of an entry, and give back what is in it.

    Raises:
        OSError: the disk does not take it.
    """
    path, metadata = main_file(entry), {"digest": state_digest(tensors)}
    try:
        safetensors.torch.save_file(tensors, unfinished(path), metadata=metadata)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    finish(path)
    return tensors


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As they come from disk too: a sum over another layout may round otherwise."""
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


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
def _alone_with(entry: Path, timeout: float = -1) -> Iterator[None]:
    """Make an entry while nobody else does. Nothing unfinished is there before or after."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    lock = entry.with_suffix(".lock")
    with FileLock(lock, timeout=timeout):
        try:
            _clear(entry)
            yield
        finally:
            _clear(entry)
            # While it is held: whoever waits for it looks whether it is still there.
            _delete([lock])


def _clear(entry: Path) -> None:
    whole = main_file(entry).exists()
    files = entry.parent.glob(f"{entry.name}.*")
    _delete(
        path
        for path in files
        if path.suffix == ".unfinished" or not (whole or path.suffix == ".lock")
    )


def _is_leftover(path: Path) -> bool:
    return path.suffix in (".lock", ".unfinished")


def _lock(file: BinaryIO, *, shared: bool) -> None:
    """Lock a file for as long as it is open; OSError where others do that already."""
    if fcntl is not None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)
