"""What a run could not tell the store before it ended: said, noted, and delivered later."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout

from transfer.system.errors import ConfigError
from transfer.tracking.delivery import Delivery
from transfer.tracking.outbox import Outbox
from transfer.tracking.previous_run import lock_of
from transfer.tracking.sender import Sender
from transfer.tracking.store import open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

# Of a command whose runs are trained and kept, but not all in the store.
EXIT_CODE = 3
_NOTE = "undelivered.json"


def deliver(folder: Path, patience_s: float, client: MlflowClient | None = None) -> int:
    """Send the store what is left in a run's folder.

    Args:
        client: of another store than the one that the run was begun in.

    Returns:
        How many entries were left.

    Raises:
        ConfigError: the store still does not take it, or a process is working on the run.
    """
    try:
        with lock_of(folder):
            outbox = Outbox(folder)
            left = len(outbox)
            run_id, uri = outbox.address()
            client = client or open_store(uri)
            delivery = Delivery(client, run_id, folder, new=False)
            reason = Sender(outbox, delivery).finish(patience_s)
            if reason:
                problem = f"the store does not take what is left in {outbox.folder} ({reason})"
                raise ConfigError("tracking.uri", client.tracking_uri, problem)
            outbox.close()
    except Timeout as error:
        problem = "a process is working in it, and delivers by itself"
        raise ConfigError("folder", folder, problem) from error
    return left


def delivery_command(folders: Sequence[Path]) -> str:
    """The command that delivers what is left in these folders."""
    names = ",".join(str(folder) for folder in folders)
    return shlex.join(["python", "experiments/deliver.py", f"folder={names}"])


def note_undelivered(job_folder: Path, run_folder: Path, reason: str) -> None:
    """Say what is left, and leave a note for the end of the command.

    Args:
        job_folder: Hydra's, of this command.
        run_folder: where the run is kept: the same, or that of an earlier command.
    """
    log.warning(
        "not in the store (%s): %s. They are kept in %s; deliver them with: %s",
        reason,
        Outbox(run_folder),
        run_folder,
        delivery_command([run_folder]),
    )
    with suppress(OSError):
        (job_folder / _NOTE).write_text(json.dumps({"folder": str(run_folder)}))


def noted_folders(job_folders: Sequence[Path]) -> list[Path]:
    """The runs of these jobs that are not all in the store."""
    notes = [folder / _NOTE for folder in job_folders if (folder / _NOTE).is_file()]
    folders = [Path(json.loads(note.read_text())["folder"]) for note in notes]
    return [folder for folder in folders if Outbox(folder)]


def deliver_noted(sweep_folder: Path) -> list[Path]:
    """Try once more for the jobs of a sweep; returns the folders of those still left."""
    left = []
    for folder in noted_folders(sorted(sweep_folder.iterdir())):
        try:
            deliver(folder, patience_s=5)
        except ConfigError:
            left.append(folder)
    return left
