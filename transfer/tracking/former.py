"""What the store already holds of a job: the run that `resume=true` skips, goes on with or retries.

A run's folder is locked for as long as its process lives, and the operating system takes the lock
off a process that is killed: so a run that still reads RUNNING is known to be dead.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout

from transfer.tracking.find import RunRecord, find_by_fingerprint
from transfer.tracking.outbox import Outbox

if TYPE_CHECKING:
    from mlflow import MlflowClient

State = Literal["new", "finished", "interrupted", "failed", "running"]


@dataclass(frozen=True)
class Former:
    """A job's earlier run, if it has one.

    Attributes:
        state: "interrupted" and "failed" runs can go on, in `folder`.
        record: None for a new job.
    """

    state: State
    record: RunRecord | None = None

    @property
    def folder(self) -> Path:
        """Where the run keeps its checkpoints."""
        assert self.record is not None
        return Path(self.record.tags["hydra.output_dir"])

    @property
    def in_store(self) -> bool:
        """Whether the store knows that the run has finished; else that lies in its outbox."""
        return self.record is not None and self.record.finished


def find_former(client: MlflowClient, fingerprint: str) -> Former:
    """The run of this fingerprint that counts: a finished one, else the newest that is here.

    A run whose folder is gone, or on a machine that is out of sight, cannot go on here.
    """
    records = find_by_fingerprint(client, fingerprint)
    for record in records:
        if record.finished:
            return Former("finished", record)
    for record in records:
        former = Former(_state(record), record)
        if former.state == "running" or former.folder.is_dir():
            return former
    return Former("new")


def lock_of(folder: Path) -> FileLock:
    """The lock that the process of a run, or of a sweep, holds on its folder."""
    return FileLock(folder / "lock", timeout=0)


def is_locked(folder: Path) -> bool:
    """Whether a living process works in this folder."""
    if not folder.is_dir():
        return False
    try:
        with lock_of(folder):
            return False
    except Timeout:
        return True


def _state(record: RunRecord) -> State:
    folder = Path(record.tags["hydra.output_dir"])
    if Outbox(folder).finishes(record.id):
        # Only the store does not know: it could not be reached at the end.
        return "running" if is_locked(folder) else "finished"
    if record.status == "FAILED":
        return "failed"
    if record.status != "RUNNING":
        return "interrupted"
    elsewhere = record.tags.get("transfer.host") != socket.gethostname() and not folder.is_dir()
    return "running" if elsewhere or is_locked(folder) else "interrupted"
