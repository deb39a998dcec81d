"""Delivers a run's outbox in the background: training never waits for the store."""

from __future__ import annotations

import logging
import threading
import time

from transfer.system.errors import root_cause
from transfer.tracking.delivery import MAX_METRICS, Delivery
from transfer.tracking.outbox import Entry, Kind, Outbox

log = logging.getLogger(__name__)

# Pauses after failures, in seconds: they double from the first to the last.
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.25, 5.0


class Sender:
    """One thread that sends what is appended, in order, and tries until it is told to stop."""

    def __init__(self, outbox: Outbox, delivery: Delivery) -> None:
        self._outbox = outbox
        self._delivery = delivery
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._failure = ""
        self._progress = time.monotonic()
        # A daemon: a process that ends does not wait for a request without an answer.
        self._thread = threading.Thread(target=self._send_all, name="outbox", daemon=True)
        self._thread.start()

    def append(self, kind: Kind, content: object) -> None:
        """Keep an entry on disk and have it sent.

        Raises:
            DiskError: it could not be kept.
        """
        self._outbox.append(kind, content)
        self._wake()

    def finish(self, patience_s: float) -> str:
        """Wait until all is sent, or for so many seconds in which nothing more arrives; then stop.

        Returns:
            Why the rest could not be sent; empty where nothing is left.
        """
        self._progress = time.monotonic()
        try:
            with self._changed:
                while self._outbox and self._seconds_left(patience_s) > 0:
                    self._changed.wait(self._seconds_left(patience_s))
        finally:
            self._stopped.set()
            self._wake()
        if self._outbox:
            return self._failure or "it gave no answer"
        self._thread.join()
        return ""

    def _seconds_left(self, patience_s: float) -> float:
        return self._progress + patience_s - time.monotonic()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _send_all(self) -> None:
        pause_s = 0.0
        while not self._stopped.wait(pause_s):
            with self._changed:
                while not self._outbox and not self._stopped.is_set():
                    self._changed.wait()
            entries = self._next()
            if not entries:
                return
            try:
                self._delivery.send(entries)
                self._outbox.remove(entries)
            except Exception as error:
                # Whatever it is, the next attempt may do better, and the entries stay.
                self._note_failure(error)
                pause_s = min(max(2 * pause_s, _FIRST_PAUSE_S), _LAST_PAUSE_S)
                continue
            pause_s = 0.0
            self._note_success()

    def _next(self) -> list[Entry]:
        """The oldest entry; of metrics, as many as one call takes: a backlog goes out quickly."""
        entries = self._outbox.entries(limit=MAX_METRICS)
        if not entries or entries[0].kind != "metrics":
            return entries[:1]
        taken, points = entries[:1], len(entries[0].content)
        for entry in entries[1:]:
            if entry.kind != "metrics" or points + len(entry.content) > MAX_METRICS:
                break
            taken.append(entry)
            points += len(entry.content)
        return taken

    def _note_failure(self, error: Exception) -> None:
        if not self._failure:
            log.warning(
                "the tracking store cannot be written (%s); the run goes on, what it logs is kept "
                "in %s and sent later",
                root_cause(error),
                self._outbox.folder,
            )
        self._failure = root_cause(error)

    def _note_success(self) -> None:
        if self._failure:
            log.info("the tracking store can be written again")
        self._failure = ""
        self._progress = time.monotonic()
        self._wake()
