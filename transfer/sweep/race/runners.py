"""The jobs of a sweep in rungs as their runs' folders have them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from transfer.compare.criterion import criterion_of
from transfer.sweep.compose import told_apart
from transfer.sweep.outcomes import Outcome, note_outcome, read_outcomes
from transfer.system.checkpoints import Checkpoints
from transfer.system.lock import LockedError
from transfer.tracking.dropped import DROPPED_TAG, Dropped, drop_run
from transfer.tracking.previous_run import find_previous_run, lock_of, run_folder
from transfer.tracking.run_record import RunRecord
from transfer.tracking.run_state import RunState
from transfer.tracking.standing import Standing, read_scores, read_standing

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

log = logging.getLogger(__name__)


class Runner(NamedTuple):
    """A job that has come to a rung."""

    folder: Path
    run: RunRecord
    standing: Standing


class Runners:
    """All jobs of a sweep, by their numbers.

    Args:
        sweep: that is open.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._dropped: list[Path] = []
        names = [job.name for job in sweep.jobs]
        self._names = told_apart(names, [job.overrides.split() for job in sweep.jobs])

    def name(self, number: int) -> str:
        """That of a job, with what was asked of it where others have the same."""
        return self._names[number]

    def at(self, epoch: int, numbers: Iterable[int], paused: Collection[int]) -> dict[int, Runner]:
        """Those of these jobs that can be compared at a rung: that paused there, or where no
        answers are asked for, that came by.

        Args:
            paused: those that paused in this sweep.
        """
        found = {}
        halving = self._sweep.halving
        by_scores = halving is not None and halving.options.keep != "paired"
        for number in numbers:
            folder = self._folder(number)
            run = None if folder is None else RunState.load(folder)
            standing = None if folder is None else read_standing(folder, epoch)
            fingerprint = self._sweep.jobs[number].fingerprint
            if run is not None and run.tags.get("transfer.fingerprint") != fingerprint:
                # Its folder was given to another since.
                run = None
            if folder is not None and standing is None and by_scores and number not in paused:
                standing = read_scores(folder, epoch)
            if number not in paused and standing is None:
                log.info("%s finished before, and is not compared here", self.name(number))
            if folder is not None and run is not None and standing is not None:
                found[number] = Runner(folder, _record(run), standing)
        return found

    def ranked(self, numbers: Iterable[int]) -> list[int]:
        """Those of these jobs that were trained to their end, the best on validation first."""
        found = []
        for number in numbers:
            folder = self._folder(number)
            run = None if folder is None else RunState.load(folder)
            if run is not None and run.status == "FINISHED":
                criterion = criterion_of([_record(run)])
                best = run.points.get(("point", criterion.validation, 0))
                if best is not None:
                    found.append((-criterion.sign * best.value, number))
        return [number for _, number in sorted(found)]

    def stands(self, number: int, epoch: int) -> bool:
        """Whether an earlier command has trained a job as far as a rung; its outcome is noted then,
        and there is nothing to launch."""
        if not self._sweep.resume:
            return False
        job = self._sweep.jobs[number]
        former = find_previous_run(self._sweep.client, job.fingerprint)
        if former.state not in ("paused", "interrupted") or former.folder is None:
            return False
        assert former.record is not None
        if read_standing(former.folder, epoch, former.record.id) is None:
            return False
        outcome = Outcome(job.overrides, "paused", folder=str(former.folder))
        note_outcome(self._sweep.folder, number, outcome)
        return True

    def count_configurations(self, numbers: Iterable[int]) -> int:
        """How many configurations these jobs have; a run that lies elsewhere has one of its own."""
        found = set()
        for number in numbers:
            folder = self._folder(number)
            run = None if folder is None else RunState.load(folder)
            own = None if run is None else run.tags.get("transfer.configuration")
            found.add(own or f"job {number}")
        return len(found)

    def drop(self, number: int, own: Outcome, folder: Path, dropped: Dropped) -> None:
        """Let a job be dropped that paused with this outcome, and whose run is in this folder."""
        log.info("%s: %s", self.name(number), dropped)
        gone = drop_run(self._sweep.client, folder, dropped, job_folder=Path(own.folder))
        # With more time it would go on.
        if gone and dropped.why != "time":
            self._dropped.append(folder)
        status = "out of time" if dropped.why == "time" else "dropped"
        outcome = Outcome(own.overrides, status, folder=own.folder)
        note_outcome(self._sweep.folder, number, outcome)

    def keep(self, number: int) -> None:
        """Let a job that an earlier command has begun stay as it is: paused, or dropped."""
        job = self._sweep.jobs[number]
        former = find_previous_run(self._sweep.client, job.fingerprint)
        dropped = None if former.record is None else Dropped.of(former.record.tags)
        status = "paused"
        if dropped is not None:
            status = "out of time" if dropped.why == "time" else "dropped"
        log.info("%s: does not go on, for want of time", self.name(number))
        folder = "" if former.folder is None else str(former.folder)
        outcome = Outcome(job.overrides, status, folder=folder)
        note_outcome(self._sweep.folder, number, outcome)

    def leave_out(self, number: int) -> None:
        """Let a job never begin."""
        log.info("%s: left out for want of time", self.name(number))
        outcome = Outcome(self._sweep.jobs[number].overrides, "left out")
        note_outcome(self._sweep.folder, number, outcome)

    def leave_unrepeated(self, number: int) -> None:
        """Let a replicate never begin, for another one has lost."""
        outcome = Outcome(self._sweep.jobs[number].overrides, "not repeated")
        note_outcome(self._sweep.folder, number, outcome)

    def tidy(self) -> None:
        """Remove the checkpoints of what was dropped: it goes on from its start, if ever."""
        for folder in self._dropped:
            remove_checkpoints(folder)

    def _folder(self, number: int) -> Path | None:
        """Where a job's run is kept: its own folder, or that of an earlier command."""
        own = read_outcomes(self._sweep.folder)[number].folder
        fingerprint = self._sweep.jobs[number].fingerprint
        return run_folder(self._sweep.client, fingerprint, own)


def remove_checkpoints(folder: Path) -> None:
    """Let a run that was dropped go on from its start, if ever."""
    # Another command may have gone on with it since.
    with suppress(LockedError), lock_of(folder):
        run = RunState.load(folder)
        if run is not None and run.status == "KILLED" and run.tags.get(DROPPED_TAG):
            Checkpoints(folder, run.run_id).remove()


def _record(run: RunState) -> RunRecord:
    tags = {name: value for name, value in run.tags.items() if value is not None}
    return RunRecord(run.run_id, run.name, run.status, run.params, {}, tags)
