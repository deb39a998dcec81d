"""Delivers what the store lacks of runs that have ended: all of it is kept in their folders.

A job whose run is not all in the store leaves a note in its folder, so that the end of the command
can try once more and name the command that delivers the rest.
"""

import logging
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from transfer.system.errors import ConfigError
from transfer.system.lock import LockedError
from transfer.tracking.moved_store import SQLITE
from transfer.tracking.previous_run import lock_of
from transfer.tracking.run_state import STATE, RunState, is_in_store
from transfer.tracking.store import Client, open_store
from transfer.tracking.sync import Sync

log = logging.getLogger(__name__)

# The exit code of a command whose runs are trained and kept, but not all in the store.
EXIT_CODE = 3
_NOTE = "undelivered.txt"


def deliver(folder: Path, patience_s: float, client: Client | None = None) -> int:
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
            client = client or _store_of(state)
            sync = Sync(client, state)
            sync.finish(patience_s)
            if sync.deleted:
                log.warning("%s: %s", folder, sync.why)
            elif str(sync):
                problem = f"the store does not take what is left in {folder} {sync}"
                raise ConfigError("tracking.uri", client.tracking_uri, problem)
            return sync.delivered
    except LockedError as error:
        problem = f"a process is working in it, and delivers by itself{error.advice}"
        raise ConfigError("folder", folder, problem) from error


def _store_of(state: RunState) -> Client:
    path = Path(state.uri.removeprefix(SQLITE).partition("?")[0])
    # Opened, it would be made anew, without the run.
    if state.uri.startswith(SQLITE) and not path.is_file():
        command = f"{delivery_command([state.folder])} tracking_uri={SQLITE}/…/{path.name}"
        problem = f"the store is gone from there; name the place where it is: {command}"
        raise ConfigError("tracking.uri", state.uri, problem)
    return open_store(state.uri)


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
        (job_folder / _NOTE).write_text(str(run_folder))


def noted_folders(job_folders: Sequence[Path]) -> list[Path]:
    """The runs of these jobs that are not all in the store."""
    notes = [folder / _NOTE for folder in job_folders if (folder / _NOTE).is_file()]
    folders = [Path(note.read_text()) for note in notes]
    return [folder for folder in folders if not is_in_store(folder)]


def deliver_noted(job_folders: Sequence[Path]) -> list[Path]:
    """Try once more for the jobs of a sweep; returns the folders of those still left."""
    left = []
    for folder in noted_folders(job_folders):
        try:
            deliver(folder, patience_s=5)
        except ConfigError:
            left.append(folder)
    return left
