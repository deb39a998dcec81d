"""Files written whole or not at all, and a disk that is full or read-only in one line."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from transfer.system.errors import UserError

# What a person can mend: no space, over quota, too large a file, read-only, no permission, a
# failing disk.
_FAULTS = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS,
    errno.EACCES, errno.EPERM, errno.EIO,
)  # fmt: skip


class DiskError(UserError):
    """A file cannot be written; the message is one line for people."""


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which gets its name when it is whole and safe from a power cut.

    A kill at any moment leaves the former file of that name, if there was one. An error leaves
    that too, and no other trace.

    Raises:
        DiskError: the disk is full, read-only or broken.
    """
    temporary = path.parent / "unfinished"
    with writing(path):
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            # Space that a half-written file takes is space that the next attempt needs.
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise DiskError, in one line, for whatever a library makes of a full or read-only disk."""
    try:
        yield
    except Exception as error:
        reason = disk_fault(error)
        if reason is None:
            raise
        problem = f"{path} cannot be written ({reason}); what was saved before is kept"
        raise DiskError(f"{problem}: mend it and run the same command with resume=true") from error


def disk_fault(error: BaseException) -> str | None:
    """Why the disk refused, in the system's words; None where it was not the disk.

    torch raises an error of its own while it handles the system's, and libraries in Rust only
    quote it.
    """
    cause: BaseException | None = error
    while cause is not None:
        for code in _FAULTS:
            quoted = f"(os error {code})" in str(cause)
            if quoted or (isinstance(cause, OSError) and cause.errno == code):
                return os.strerror(code)
        cause = cause.__cause__ or cause.__context__
    return None


def _sync_folder(folder: Path) -> None:
    # The rename itself is safe from a power cut only when the folder is written too.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
