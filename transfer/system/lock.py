"""Locks on files, each for one process at a time, which a process that is killed loses.

The system's own (flock) where the disk knows them. Network disks and those of clusters often do
not: there a file beside the lock names the process that has it, and is nobody's once that process
is dead.
"""

import errno
import json
import logging
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Self

from filelock import FileLock, Timeout

from transfer.system.process import Process

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

# What a disk without locks says: not implemented, no locks available, not supported.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
_POLL_S = 0.05
# A wait for a process that is out of sight is explained after so long.
_SILENT_S = 10.0
# What a kill between two lines leaves is half a file at most, and nobody's after so long.
_HALF_S = 60.0


def knows_byte_locks(folder: Path) -> bool:
    """Whether the disk knows the other sort of locks, of bytes in a file, which SQLite needs."""
    if sys.platform == "win32":
        return True
    # Where no file can be made, somebody else says so.
    with suppress(OSError), TemporaryFile(dir=folder) as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in _NO_LOCKS
    return True


def lock_open_file(file: BinaryIO, *, shared: bool) -> bool:
    """Lock a file for as long as it is open, without waiting for others.

    Args:
        shared: whether others may lock it in this way too.

    Returns:
        Whether it is safe from others: False where the disk knows no locks. On Windows nobody
        deletes a file that another process has open, and nothing is locked.

    Raises:
        OSError: others have locked it.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise
    return True


class LockedError(TimeoutError):
    """Another process has the lock.

    Attributes:
        advice: what to do should that process be dead, to be added to a message; empty where the
            system would know.
    """

    def __init__(self, path: Path, advice: str) -> None:
        super().__init__(f"another process has locked {path}{advice}")
        self.path, self.advice = path, advice

    def __reduce__(self) -> tuple[type[Self], tuple[Path, str]]:
        # Workers pickle exceptions, and pickle calls the class with the message alone otherwise.
        return type(self), (self.path, self.advice)


class Lock:
    """A lock on a file, which is made for it.

    Args:
        timeout_s: how long `acquire` waits for others; infinity is allowed.
    """

    def __init__(self, path: Path, timeout_s: float = 0.0) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._native = FileLock(path, timeout=0, fallback_to_soft=False)
        self._marker = _Marker(path.with_suffix(".held"))

    @property
    def is_locked(self) -> bool:
        """Whether this object has the lock."""
        return self._native.is_locked or self._marker.is_own

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            LockedError: others have it, longer than `timeout_s`.
            OSError: the file cannot be written.
        """
        start, told = time.monotonic(), False
        while not self._try():
            waited = time.monotonic() - start
            if waited >= self._timeout_s:
                raise LockedError(self.path, self._marker.advice())
            if waited > _SILENT_S and not told and (advice := self._marker.advice()):
                log.warning("waiting for another process, which has locked %s%s", self.path, advice)
                told = True
            time.sleep(_POLL_S)

    def release(self) -> None:
        """Let others have it; nothing where this object does not have it."""
        self._marker.release()
        self._native.release()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _try(self) -> bool:
        try:
            self._native.acquire()
        except Timeout:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return self._marker.take()
        if self._marker.is_held():
            # The disk knew no locks when another process came.
            self._native.release()
            return False
        return True


class _Marker:
    """A file that is there while a process has a lock, and names it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = b""

    @property
    def is_own(self) -> bool:
        return self._own != b""

    def is_held(self) -> bool:
        """Whether it names a process that may live."""
        process = self._process()
        return process is not None and process.may_live()

    def take(self) -> bool:
        """Make the file, unless a process that may live has made it."""
        return self._make() or (self._clear() and self._make())

    def release(self) -> None:
        """Remove it, if it is still this object's."""
        with suppress(OSError):
            if self._own and self._path.read_bytes() == self._own:
                self._path.unlink()
        self._own = b""

    def advice(self) -> str:
        process = self._process()
        if process is None:
            return ""
        return f"; if {process} is known to be dead, delete {self._path.absolute()}"

    def _make(self) -> bool:
        # Two objects of one process are two.
        own = json.dumps([asdict(Process.this()), uuid.uuid4().hex]).encode()
        try:
            with self._path.open("xb") as file:
                file.write(own)
        except FileExistsError:
            return False
        # Had the disk taken a minute, another process would have counted it as half a file.
        if self._path.read_bytes() != own:
            return False
        self._own = own
        return True

    def _clear(self) -> bool:
        """Remove the file of a dead process; whether it was that, and gone."""
        if not self._is_dead():
            return False
        # Of two that find it dead, the slower one must not remove what the faster one made since.
        alone = self._path.with_suffix(".clearing")
        try:
            alone.mkdir()
        except FileExistsError:
            with suppress(OSError):
                if _age_s(alone) > _HALF_S:
                    alone.rmdir()
            return False
        try:
            if self._is_dead():
                self._path.unlink(missing_ok=True)
                return True
            return False
        finally:
            with suppress(OSError):
                alone.rmdir()

    def _is_dead(self) -> bool:
        process = self._process()
        if process is not None:
            return not process.may_live()
        with suppress(OSError):
            return _age_s(self._path) > _HALF_S
        # Just released.
        return not self._path.exists()

    def _process(self) -> Process | None:
        """Which has it; None where none has, or the file is half written."""
        try:
            process, _ = json.loads(self._path.read_bytes())
            return Process(**process)
        except (OSError, ValueError, TypeError):
            return None


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime
