"""Sends the store what it lacks of a run: at any time, any number of times, from anywhere.

Whether a request that got no answer has arrived, nobody knows: its answer may be what was lost. So
first of all, and after an error, the store is asked what it has before anything is sent. A
request that seems lost and arrives after it was repeated makes no second point either: points carry
the time of the training, and a database tells equal ones by it.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from transfer.system.errors import printable, root_cause
from transfer.tracking.run_state import Key, RunState, mark_of, note_in_store
from transfer.tracking.store import Client
from transfer.tracking.stored_run import DeletedError, StoredRun, is_final, lost_race

log = logging.getLogger(__name__)

_UNKNOWN = object()
# In this order, and so many of a kind in one call: MLflow takes no more.
_AT_ONCE = {
    "parameter": 100, "tag": 100, "data set": 1, "point": 1000, "file": 1, "model": 1, "status": 1,
}  # fmt: skip
# So many in a row mean that the store takes nothing.
_MOST_FAILURES = 5
# Pauses after failures, in seconds: they double from the first to the last.
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.25, 5.0


class Sync:
    """Keeps a run in the store up to date from a thread of its own: training never waits for it.

    The thread sends what is new whenever it is woken, and tries again what did not arrive.

    Attributes:
        delivered: how many things were sent and have arrived.
        deleted: whether somebody has deleted the run in the store, when it was last asked.
    """

    def __init__(self, client: Client, state: RunState) -> None:
        self.delivered, self.deleted = 0, False
        self._state = state
        self._stored = StoredRun(client, state)
        # What the store has, as far as this process knows; without `_sure` it may have more.
        self._there: dict[Key, Any] = {}
        self._sure = False
        self._lacking: dict[Key, Any] = {}
        self._points_seen = 0
        # What never arrives, whose value is not tried again.
        self._refused: dict[Key, Any] = {}
        self._failure = ""
        self._failures = 0
        for line in state.unreadable:
            self._refuse(("unreadable line", line, 0), None, "it is damaged")
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._wanted, self._done = 1, 0
        self._progress = time.monotonic()
        self._stopped = False
        # A daemon: a process that ends does not wait for a request without an answer.
        threading.Thread(target=self._keep_sending, name="sync", daemon=True).start()

    def __str__(self) -> str:
        """What is not in the store, and why; empty where nothing is."""
        lacking = self._left_of(self._state.contents())
        left = Counter(kind for kind, _, _ in [*self._refused, *lacking])
        words = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in left.items())
        return f"({self._failure or 'it gave no answer'}): {words}" if words else ""

    @property
    def why(self) -> str:
        """Why something is not in the store; empty where everything is."""
        return self._failure

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
                if self.deleted or time.monotonic() > max(begin, self._progress) + patience_s:
                    break
                self._changed.wait(0.1)
            self._stopped = True
            self._changed.notify_all()
        self._hurry.set()

    def _keep_sending(self) -> None:
        pause_s = 0.0
        while not self._stopped:
            wanted = self._wanted
            if self._send():
                if pause_s:
                    log.info("the tracking store can be written again")
                pause_s = 0.0
                with self._changed:
                    self._done = wanted
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._wanted > self._done or self._stopped)
                continue
            if not pause_s and not self._stopped:
                log.warning(
                    "the tracking store cannot be written (%s); the run goes on, what it logs is "
                    "kept in %s and sent later",
                    self._failure,
                    self._state.folder,
                )
            pause_s = min(max(2 * pause_s, _FIRST_PAUSE_S), _LAST_PAUSE_S)
            self._hurry.wait(pause_s)
            self._hurry.clear()

    def _send(self) -> bool:
        """Send what lacks; one thing that does not arrive does not keep the others.

        Returns:
            Whether all has arrived but what is refused for good; else another try may do better.
        """
        # First, for what is read later is at least as new.
        mark = mark_of(self._state.folder)
        n_points = len(self._state.points)
        points = {key: value for key, value in self._lacking.items() if key[0] == "point"}
        self._lacking = points | self._left_of(self._state.contents(self._points_seen))
        self._points_seen = n_points
        self._failures = 0
        try:
            if not self._sure:
                self._ask()
            for kind, at_once in _AT_ONCE.items():
                # Of a run that reads FINISHED in the store, all is there.
                if kind == "status" and len(self._lacking) > 1:
                    break
                keys = [key for key in self._lacking if key[0] == kind]
                for start in range(0, len(keys), at_once):
                    batch = keys[start : start + at_once]
                    if not self._arrive(batch) and len(batch) > 1:
                        for key in batch:
                            self._arrive([key])
        except Exception as error:
            # Nothing else would arrive either. Whatever it is, the next attempt may do better.
            self._failure = str(error) if self.deleted else root_cause(error)
            return False
        if not self._lacking and not self._refused and not self._stopped:
            self._failure = ""
            note_in_store(self._state.folder, mark)
        return not self._lacking

    def _left_of(self, things: dict[Key, Any]) -> dict[Key, Any]:
        """What of this the store lacks, as far as is known."""
        # A tag that it must not have may be there as long as it was not asked.
        unknown = None if self._sure else _UNKNOWN
        return {
            key: value
            for key, value in things.items()
            if self._there.get(key, unknown) not in (value, ...)
            and (key not in self._refused or self._refused[key] != value)
        }

    def _ask(self) -> None:
        """Look at what the store has, for whether the last request has arrived, nobody knows."""
        self._sure = False
        self.deleted = False
        try:
            self._there = self._stored.contents()
        except DeletedError:
            self.deleted = True
            raise
        self._sure = True
        self._lacking = self._left_of(self._lacking)

    def _arrive(self, keys: Sequence[Key]) -> bool:
        """Send what lacks of these, all of one kind; refuse one alone that would never arrive."""
        things = {key: self._lacking[key] for key in keys if key in self._lacking}
        # After the end another process may tell the store.
        if not things or self._stopped:
            return True
        try:
            self._stored.send(keys[0][0], [(name, value) for (_, name, _), value in things.items()])
        except Exception as error:
            self._failure = root_cause(error)
            self._ask()
            self._failures += 1
            [key, *others] = things
            if not others and key in self._lacking and is_final(error):
                self._refuse(key, self._lacking.pop(key), self._failure)
                self._failures = 0
            elif self._failures >= _MOST_FAILURES:
                raise
            # No trouble of the store's, which the user should hear of.
            return lost_race(error) and self._arrive(keys)
        self._failures = 0
        self._progress = time.monotonic()
        self.delivered += len(things)
        for key, value in things.items():
            self._there[key] = ... if key[0] == "point" else value
            del self._lacking[key]
        return True

    def _refuse(self, key: Key, value: object, reason: str) -> None:
        self._refused[key] = value
        self._failure = reason
        kind, name, step = key
        what = printable(f"{kind} {name}" + (f" of step {step}" if kind == "point" else ""))
        log.warning("the tracking store does not get the %s: %s", what, reason)
