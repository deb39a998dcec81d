"""The thread in which a run's store is kept up to date: training never waits for it."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transfer.tracking.sync import Sync

log = logging.getLogger(__name__)

# Pauses after failures, in seconds: they double from the first to the last.
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.25, 5.0


class SyncThread:
    """Sends in the background whenever it is woken, and tries again what did not arrive.

    Args:
        folder: where the run is kept meanwhile.
    """

    def __init__(self, sync: Sync, folder: Path) -> None:
        self._sync = sync
        self._folder = folder
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._wanted, self._done = 1, 0
        self._stopped = False
        # A daemon: a process that ends does not wait for a request without an answer.
        threading.Thread(target=self._send_all, name="sync", daemon=True).start()

    def wake(self) -> None:
        """Have what is new sent soon; what comes while something is sent goes together then."""
        with self._changed:
            self._wanted += 1
            self._changed.notify_all()

    def finish(self, patience_s: float) -> None:
        """Wait until all is sent, or nothing arrives for so many seconds; then stop."""
        begin = time.monotonic()
        # An attempt that waits after a failure is made at once.
        self._hurry.set()
        with self._changed:
            while self._done < self._wanted:
                if time.monotonic() > max(begin, self._sync.progress) + patience_s:
                    break
                self._changed.wait(0.1)
            self._stopped = True
            self._changed.notify_all()
        self._hurry.set()

    def _send_all(self) -> None:
        pause_s = 0.0
        while not self._stopped:
            wanted = self._wanted
            if self._sync.send():
                if pause_s:
                    log.info("the tracking store can be written again")
                pause_s = 0.0
                with self._changed:
                    self._done = wanted
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._wanted > self._done or self._stopped)
                continue
            if not pause_s:
                log.warning(
                    "the tracking store cannot be written (%s); the run goes on, what it logs is "
                    "kept in %s and sent later",
                    self._sync.failure,
                    self._folder,
                )
            pause_s = min(max(2 * pause_s, _FIRST_PAUSE_S), _LAST_PAUSE_S)
            self._hurry.wait(pause_s)
            self._hurry.clear()
