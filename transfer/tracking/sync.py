"""Sends the store what it lacks of a run: at any time, any number of times, from anywhere.

Whether a request that got no answer has arrived, nobody knows: its answer may be what was lost. So
after an error, and when a run goes on, the store is asked what it has before anything is sent. A
request that seems lost and arrives after it was repeated makes no second point either: points carry
the time of the training, and a database tells equal ones by it.
"""

from __future__ import annotations

import json
import logging
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from transfer.system.errors import ConfigError, printable, root_cause
from transfer.tracking.previous_run import lock_of
from transfer.tracking.run_state import STATE, RunState, is_in_store
from transfer.tracking.store import answering, open_store
from transfer.tracking.stored_run import AT_ONCE, Item, Key, StoredRun, UnreadableError, create_run
from transfer.tracking.sync_thread import SyncThread

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

# Of a command whose runs are trained and kept, but not all in the store.
EXIT_CODE = 3
_NOTE = "undelivered.json"
# Halving a thousand points to find a bad one fails ten times on the way.
_FAILURES_IN_A_ROW = 12


class Sync:
    """What the store still lacks of one run, kept in mind from one `send` to the next.

    Args:
        new: whether the store has nothing of the run but what it was created with, so that it need
            not be asked.

    Attributes:
        lacking: what is not known to have arrived, by kind, name and step.
        refused: what never will; this object does not try it again.
        delivered: how many items were sent and have arrived.
        failure: why not all has arrived, in one line.
        progress: when something arrived last, by the monotonic clock.
    """

    def __init__(self, client: MlflowClient, state: RunState, *, new: bool) -> None:
        self.lacking: dict[Key, Item] = {}
        damaged = [Item("unreadable line", each, None) for each in state.unreadable]
        self.refused = {item.key: item for item in damaged}
        self.delivered = 0
        self.failure = ""
        self.progress = time.monotonic()
        self._state = state
        self._stored = StoredRun(client, state)
        # What the store has, as far as this process knows; without `_sure` it may have more.
        tags = {("tag", name, 0): value for name, value in state.tags.items()}
        self._there: dict[Key, Any] = tags if new else {}
        self._sure = new
        self._points_seen = 0
        self._failures = 0
        for item in damaged:
            self._warn(item, "it is damaged")

    def __str__(self) -> str:
        """What is not in the store, and why; empty where nothing is."""
        lacking = self.lacking.copy() | {item.key: item for item in self._news()}
        counts = Counter(item.kind for item in [*self.refused.values(), *lacking.values()])
        words = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.items())
        return f"({self.failure or 'it gave no answer'}): {words}" if words else ""

    def send(self) -> bool:
        """Send what lacks; one thing that does not arrive does not keep the others.

        Returns:
            Whether all has arrived but what is refused for good; else another try may do better.
        """
        try:
            # First, for what is read later is at least as new.
            mark = self._state.mark
            self._failures = 0
            n_points = len(self._state.points)
            points = [item for item in self.lacking.values() if item.kind == "point"]
            self.lacking = {item.key: item for item in [*points, *self._news()]}
            self._points_seen = n_points
            if not self._sure:
                self._ask()
            for kind in dict.fromkeys(item.kind for item in self.lacking.values()):
                items = [item for item in self.lacking.values() if item.kind == kind]
                # Of a run that reads FINISHED in the store, all is there.
                if kind == "status" and len(self.lacking) > 1:
                    continue
                size = AT_ONCE.get(kind, 1)
                for start in range(0, len(items), size):
                    self._send(items[start : start + size])
        except Exception as error:
            # Nothing else would arrive either. Whatever it is, the next attempt may do better.
            self.failure = root_cause(error)
            return False
        if not self.lacking and not self.refused:
            self.failure = ""
            self._state.note_in_store(mark)
        return not self.lacking

    def _news(self) -> list[Item]:
        """What the store lacks of the run's state, and of its points of those since last time."""
        state = self._state
        # How it ended is read first, so that the rest is there too, and sent last.
        end = [Item("status", "status", (state.status, state.end_time))] if state.ended else []
        items = [Item("parameter", name, value) for name, value in state.params.items()]
        items += [Item("tag", name, value) for name, value in state.tags.items()]
        if state.data_set is not None:
            items.append(Item("data set", state.data_set["name"], state.data_set["digest"]))
        points = [Item("point", *point) for point in state.points[self._points_seen :]]
        files = [Item("file", name, times) for name, times in state.artifacts.items()]
        models = [Item("model", state.model, True)] if state.model is not None else []
        items += [*points, *files, *models, *end]
        return [item for item in items if self._lacks(item)]

    def _lacks(self, item: Item) -> bool:
        there = self._there.get(item.key)
        return there not in (item.value, ...) and self.refused.get(item.key) != item

    def _ask(self) -> None:
        """Look at what the store has, for whether the last request has arrived, nobody knows."""
        self._sure = False
        self._there = self._stored.contents()
        self.lacking = {key: item for key, item in self.lacking.items() if self._lacks(item)}
        self._sure = True

    def _send(self, items: list[Item]) -> None:
        """Send items of one kind; of some that do not arrive together, find out which."""
        if not items or self._failures >= _FAILURES_IN_A_ROW:
            return
        try:
            self._stored.send(items)
        except Exception as error:
            self.failure, final = root_cause(error), _is_final(error)
            self._failures += 1
            self._ask()
        else:
            self._failures = 0
            self.delivered += len(items)
            self.progress = time.monotonic()
            for item in items:
                self._there[item.key] = ... if item.kind == "point" else item.value
                del self.lacking[item.key]
            return
        items = [item for item in items if item.key in self.lacking]
        if len(items) > 1:
            half = len(items) // 2
            self._send(items[:half])
            self._send(items[half:])
        elif items and final:
            self.refused[items[0].key] = self.lacking.pop(items[0].key)
            self._warn(items[0], self.failure)

    def _warn(self, item: Item, reason: str) -> None:
        self.failure = reason
        step = f" of step {item.step}" if item.kind == "point" else ""
        what = printable(f"{item.kind} {item.name}{step}")
        log.warning("the tracking store does not get the %s: %s", what, reason)


def log_run(client: MlflowClient, state: RunState) -> None:
    """Log a run that was not trained here: all of `state`, whose artifacts lie in its folder.

    Raises:
        ConfigError: the store does not take it.
    """
    with answering(client.tracking_uri, "written"):
        create_run(client, state)
    sync = Sync(client, state, new=True)
    sync.send()
    if str(sync):
        raise ConfigError("tracking.uri", client.tracking_uri, f"{state.name} is not there {sync}")


def deliver(folder: Path, patience_s: float, client: MlflowClient | None = None) -> int:
    """Send the store what it lacks of the run in a folder.

    Args:
        client: of another store than the one that the run was begun in.

    Returns:
        How many things it lacked.

    Raises:
        ConfigError: the store still does not take all of it, or a process is working on the run.
    """
    try:
        with lock_of(folder):
            state = RunState.load(folder)
            if state is None:
                raise ConfigError("folder", folder, f"{STATE} is gone or cannot be read")
            client = client or open_store(state.uri)
            sync = Sync(client, state, new=False)
            SyncThread(sync, folder).finish(patience_s)
            if str(sync):
                problem = f"the store does not take what is left in {folder} {sync}"
                raise ConfigError("tracking.uri", client.tracking_uri, problem)
            return sync.delivered
    except Timeout as error:
        problem = "a process is working in it, and delivers by itself"
        raise ConfigError("folder", folder, problem) from error


def delivery_command(folders: Sequence[Path]) -> str:
    """The command that delivers what is left in these folders."""
    names = ",".join(str(folder) for folder in folders)
    return shlex.join(["python", "experiments/deliver.py", f"folder={names}"])


def note_undelivered(job_folder: Path, run_folder: Path, left: str) -> None:
    """Say what is left, and leave a note for the end of the command.

    Args:
        job_folder: Hydra's, of this command.
        run_folder: where the run is kept: the same, or that of an earlier command.
        left: what and why, as a Sync says it.
    """
    command = delivery_command([run_folder])
    kept = f"They are kept in {run_folder}; deliver them with: {command}"
    log.warning("not in the store %s. %s", left, kept)
    with suppress(OSError):
        (job_folder / _NOTE).write_text(json.dumps({"folder": str(run_folder)}))


def noted_folders(job_folders: Sequence[Path]) -> list[Path]:
    """The runs of these jobs that are not all in the store."""
    notes = [folder / _NOTE for folder in job_folders if (folder / _NOTE).is_file()]
    folders = [Path(json.loads(note.read_text())["folder"]) for note in notes]
    return [folder for folder in folders if not is_in_store(folder)]


def deliver_noted(sweep_folder: Path) -> list[Path]:
    """Try once more for the jobs of a sweep; returns the folders of those still left."""
    left = []
    for folder in noted_folders(sorted(sweep_folder.iterdir())):
        try:
            deliver(folder, patience_s=5)
        except ConfigError:
            left.append(folder)
    return left


def _is_final(error: Exception) -> bool:
    """Whether the very same thing would be refused again, whatever became of the store."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return bool(error.get_http_status_code() == 400)
    mistakes = (UnreadableError, ValueError, TypeError, LookupError, AttributeError)
    return isinstance(error, mistakes) and not isinstance(error, OSError)
