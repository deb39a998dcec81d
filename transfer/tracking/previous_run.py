"""What the store already holds of a job: the run that `resume=true` skips, goes on with or retries.

A run's folder is locked for as long as its process lives, and a process that is killed loses its
lock: so a run that still reads RUNNING is known to be dead. Where the folder is gone, the run's
tags say which process it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from transfer.system.lock import Lock, LockedError
from transfer.system.process import Process
from transfer.tracking.find import find_by_fingerprint
from transfer.tracking.run_record import PAUSED, RunRecord
from transfer.tracking.run_state import RunState
from transfer.tracking.store import Client

State = Literal["new", "finished", "paused", "interrupted", "failed", "running"]
_PARENT = "mlflow.parentRunId"
# What the folder says of a run that its job may go on with.
_LEFT = (PAUSED, "RUNNING", "KILLED")


@dataclass(frozen=True)
class PreviousRun:
    """A job's earlier run, if it has one.

    Attributes:
        state: "paused", "interrupted" and "failed" runs can go on, in `folder`, or from the start.
        record: None for a new job.
    """

    state: State
    record: RunRecord | None = None

    @property
    def folder(self) -> Path | None:
        """Where the run keeps its checkpoints; None where that is not on this machine."""
        return None if self.record is None else folder_of(self.record)

    @property
    def in_store(self) -> bool:
        """Whether the store knows that the run has finished; else only its folder does."""
        return self.record is not None and self.record.finished


def find_previous_run(
    client: Client, fingerprint: str, known: Mapping[str, list[RunRecord]] | None = None
) -> PreviousRun:
    """The run of this fingerprint that counts: a finished one, else the newest, and of those that
    nobody works on rather one whose folder is here.

    Args:
        known: every run of the store, as `find_all_of` gives it, so that it is not asked.
    """
    if known is not None:
        others = known.get(fingerprint, [])
    else:
        others = find_by_fingerprint(client, fingerprint)
    formers = [
        PreviousRun(_state(record), record)
        for record in others
        # Without that tag it came out of an archive, and its way in may have been cut short.
        if record.finished or "hydra.output_dir" in record.tags
    ]
    return max(
        formers,
        key=lambda run: (run.in_store, run.state == "running", run.folder is not None),
        default=PreviousRun("new"),
    )


def run_folder(client: Client, fingerprint: str, own: str) -> Path | None:
    """Where a job's run is kept: its own folder, or that of an earlier command; None where it has
    none here.

    Args:
        own: the job's folder; empty where it was not begun.
    """
    run = RunState.load(Path(own)) if own else None
    if run is not None and run.tags.get("transfer.fingerprint") == fingerprint:
        return Path(own)
    return find_previous_run(client, fingerprint).folder


def find_own_run(client: Client, fingerprint: str, folder: Path, sweep: str) -> PreviousRun:
    """The run of this fingerprint that an earlier process of the same job of a sweep began in this
    folder: it paused, or it was killed, and a cluster has begun the job again by itself, after a
    preemption or the death of a machine.

    Args:
        sweep: the id of its parent run.
    """
    state = RunState.load(folder)
    if state is None or state.status not in _LEFT or state.tags.get(_PARENT) != sweep:
        return PreviousRun("new")
    for record in find_by_fingerprint(client, fingerprint):
        if record.id == state.run_id:
            return PreviousRun(_state(record), record)
    return PreviousRun("new")


def _state(record: RunRecord) -> State:
    if record.finished:
        return "finished"
    folder = folder_of(record)
    state = None if folder is None else RunState.load(folder)
    known = state.status if state is not None and state.run_id == record.id else record.status
    # It may be only the folder that knows of an end: the store could not be reached then.
    paused = PAUSED in (known, record.status)
    if state is not None and (known == "FINISHED" or paused):
        ended: State = "finished" if known == "FINISHED" else "paused"
        return "running" if is_locked(state.folder) else ended
    if paused:
        return "paused"
    if record.status == "FAILED":
        return "failed"
    return "running" if is_running(record) else "interrupted"


def folder_of(record: RunRecord) -> Path | None:
    """Where a run, or a sweep, wrote; None where that is not on this machine."""
    name = record.tags.get("hydra.output_dir")
    return Path(name) if name and Path(name).is_dir() else None


def lock_of(folder: Path, timeout_s: float = 0.0) -> Lock:
    """The lock that the process of a run, or of a sweep, holds on its folder."""
    return Lock(folder / "lock", timeout_s)


def is_locked(folder: Path) -> bool:
    """Whether a living process works in this folder."""
    try:
        with lock_of(folder):
            return False
    except LockedError:
        return True


def is_running(record: RunRecord) -> bool:
    """Whether a process works on a run, or may do so on a machine that is out of sight."""
    if record.status != "RUNNING":
        return False
    folder = folder_of(record)
    return _may_live(record.tags) if folder is None else is_locked(folder)


def process_tags() -> dict[str, str]:
    """This process's host, number and start, by which another can tell whether it lives."""
    process = Process.this()
    return {
        "transfer.host": process.host,
        "transfer.process": str(process.number),
        "transfer.process_start": process.start,
    }


def working(record: RunRecord) -> str:
    """The process that works on a run, for people."""
    tags = record.tags
    return f"process {tags.get('transfer.process')} on {tags.get('transfer.host')}"


def _may_live(tags: Mapping[str, str]) -> bool:
    number = tags.get("transfer.process", "")
    process = Process(
        tags.get("transfer.host", ""),
        int(number) if number.isdigit() else 0,
        tags.get("transfer.process_start", ""),
    )
    return process.may_live()
