"""A sweep's state in its folder, where its jobs and its driver find it from any process.

`sweep.json` says which parent run the jobs belong to; `outcome.json` in a job's folder, how the job
ended. A file a job, for workers on several machines write at the same time.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from transfer.system.disk import atomic_write
from transfer.tracking.sweep_run import SweepRun

_SWEEP = "sweep.json"
_OUTCOME = "outcome.json"


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


def write_sweep(folder: Path, sweep: SweepRun) -> None:
    """Leave a note of the sweep's parent run for its jobs.

    Raises:
        DiskError: the disk is full, read-only or broken.
    """
    _write(folder / _SWEEP, asdict(sweep))


def read_sweep(folder: Path) -> SweepRun | None:
    """The sweep whose folder this is; None where no sweep was opened there."""
    path = folder / _SWEEP
    return SweepRun(**json.loads(path.read_text())) if path.is_file() else None


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Note how the job of this folder ended.

    Raises:
        DiskError: the disk is full, read-only or broken.
    """
    _write(folder / _OUTCOME, asdict(outcome))


def read_outcomes(sweep_folder: Path) -> dict[str, Outcome]:
    """The outcomes of a sweep's jobs so far, by the name of their folders, in order."""
    paths = sorted(_outcomes(sweep_folder), key=lambda path: (len(path.parent.name), path))
    return {path.parent.name: Outcome(**json.loads(path.read_text())) for path in paths}


def forget_outcomes(sweep_folder: Path) -> None:
    """Delete those of an earlier sweep that was given the same folder."""
    for path in _outcomes(sweep_folder):
        path.unlink()


def _outcomes(sweep_folder: Path) -> list[Path]:
    return list(sweep_folder.glob(f"*/{_OUTCOME}"))


def _write(path: Path, content: dict[str, str]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(content).encode())
