"""How a job ended, noted in its folder, where the sweep's driver finds it from any launcher."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from transfer.system.disk import atomic_write

_FILE_NAME = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """The end of one job.

    Attributes:
        overrides: what distinguishes the job on the command line.
        status: "finished", "failed" or "interrupted".
        error: one line; empty unless it failed.
    """

    overrides: str
    status: str
    error: str = ""

    @property
    def failed(self) -> bool:
        return self.status == "failed"

    @property
    def interrupted(self) -> bool:
        return self.status == "interrupted"


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Write it whole or not at all.

    Raises:
        DiskError: the disk is full, read-only or broken.
    """
    with atomic_write(folder / _FILE_NAME) as file:
        file.write(json.dumps(asdict(outcome)).encode())


def forget_outcomes(sweep_folder: Path) -> None:
    """Of an earlier sweep that was given the same folder."""
    for note in sweep_folder.glob(f"*/{_FILE_NAME}"):
        note.unlink()


def read_outcomes(sweep_folder: Path) -> dict[str, Outcome]:
    """The outcomes of a sweep's jobs so far, by the name of their folders, in order."""
    notes = sorted(
        sweep_folder.glob(f"*/{_FILE_NAME}"), key=lambda path: (len(path.parent.name), path)
    )
    return {path.parent.name: Outcome(**json.loads(path.read_text())) for path in notes}
