"""How the jobs of a sweep ended: in its folder a file each, `outcomes/<number>/outcome.json`,
wherever the job's own folder is, for workers on several machines write at the same time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transfer.system.disk import atomic_write, writing

if TYPE_CHECKING:
    from transfer.sweep.state import Repeats
    from transfer.tracking.sweep_run import PlannedJob

_FOLDER = "outcomes"


@dataclass(frozen=True)
class Outcome:
    """The end of one job.

    Attributes:
        overrides: what distinguishes the job on the command line.
        status: "finished", "paused", "failed" or "interrupted"; of a sweep in rungs "dropped", and
            where there was no time for it "out of time" (dropped) or "left out" (never begun), or
            "not repeated", a replicate that was never begun of what another one has lost with.
        error: one line; empty unless it failed.
        folder: of the job; absolute.
        seconds: that it took.
        first_epoch: the first one that it trained, from 1; 0 where it trained none.
        epoch_s: seconds of each epoch from that one on.
    """

    overrides: str
    status: str
    error: str = ""
    folder: str = ""
    seconds: float = 0.0
    first_epoch: int = 0
    epoch_s: Sequence[float] = ()


def note_outcome(sweep_folder: Path, number: int, outcome: Outcome) -> None:
    """Leave a note of how a job ended in the folder of its sweep.

    Args:
        number: of the job within the sweep.

    Raises:
        DiskError: the disk is full, read-only or broken.
    """
    # A folder each, for files are written under one name first, and several workers write.
    folder = sweep_folder / _FOLDER / str(number)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "outcome.json") as file:
        file.write(json.dumps(asdict(outcome)).encode())


def outcome_files(sweep_folder: Path) -> list[Path]:
    """The files of all outcomes so far."""
    return list((sweep_folder / _FOLDER).glob("*/outcome.json"))


def read_outcomes(sweep_folder: Path) -> dict[int, Outcome]:
    """The outcomes of a sweep's jobs so far, by their numbers, in order."""
    found = {
        int(path.parent.name): Outcome(**json.loads(path.read_text()))
        for path in outcome_files(sweep_folder)
    }
    return dict(sorted(found.items()))


def outcomes_of(folder: Path, jobs: Sequence[PlannedJob], repeats: Repeats) -> dict[int, Outcome]:
    """How each job of the sweep in a folder ended, by its number; one of which no word came has
    failed.

    Args:
        jobs: those that were planned, of which `repeats` are left out.
    """
    lost = "it ended without a word; its log may tell why"
    planned = {
        number: Outcome(job.overrides, "failed", lost)
        for number, job in enumerate(jobs)
        if str(number) not in repeats.of
    }
    return dict(sorted((planned | read_outcomes(folder)).items()))


def forget_outcomes(sweep_folder: Path, numbers: Iterable[int] | None = None) -> None:
    """Delete those of an earlier sweep that was given the same folder, or of jobs that go on."""
    folder = sweep_folder / _FOLDER
    for each in [folder] if numbers is None else [folder / str(number) for number in numbers]:
        shutil.rmtree(each, ignore_errors=True)
