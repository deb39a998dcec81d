"""Which other jobs of this project run on this machine: what a clock says beside them is longer
than it would be alone.

Each job holds a lock in the cache's folder for as long as it runs; a process that is
killed loses it. Jobs that keep their caches elsewhere are not seen.
"""

import os
import socket
from contextlib import suppress
from typing import Self

from transfer.system.cache import cache_folder
from transfer.system.lock import Lock, LockedError


class OtherJobs:
    """Lets others see this process's job, and sees theirs, from entering the context to leaving."""

    def __init__(self) -> None:
        self._folder = cache_folder() / "jobs"
        self._host = socket.gethostname()
        self._lock = Lock(self._folder / f"{self._host}-{os.getpid()}.lock")
        self._most = 0

    def __enter__(self) -> Self:
        # Where nothing can be written, nobody is seen.
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        self.look()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._lock.path.unlink()
        self._lock.release()

    def look(self) -> int:
        """How many others run now."""
        running = 0
        for path in self._folder.glob(f"{self._host}-*.lock"):
            if path != self._lock.path:
                try:
                    with Lock(path):
                        # Its process was killed.
                        path.unlink(missing_ok=True)
                except LockedError:
                    running += 1
                except OSError:
                    continue
        self._most = max(self._most, running)
        return running

    def most(self) -> int:
        """The most that were seen at once since the last call, or since the start; now included."""
        now = self.look()
        most, self._most = self._most, now
        return most
