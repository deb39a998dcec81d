"""A sweep in rungs, as the process that drives it sees it: who is in the race, and who is dropped.

What is decided at a rung follows from what the runs keep in their folders, and from nothing else:
so a sweep that was killed and goes on finds the same losers again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from transfer.compare.criterion import criterion_of
from transfer.compare.halving import Rule, find_losers, points_behind
from transfer.sweep import state
from transfer.sweep.expected import Expected
from transfer.system import interrupt
from transfer.system.lock import LockedError
from transfer.tracking.dropped import DROPPED_TAG, Dropped, drop_run
from transfer.tracking.find import RunRecord
from transfer.tracking.previous_run import find_previous_run, lock_of
from transfer.tracking.run_state import RunState
from transfer.tracking.standing import Standing, read_standing
from transfer.training.checkpoint import Checkpoints

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

log = logging.getLogger(__name__)


class JobNumbers(int):
    """The first of some jobs' numbers, to which launchers add a job's place in their batch: gives
    the number that the job has in the sweep, and with it its folder, at every rung."""

    _numbers: Sequence[int]

    def __new__(cls, numbers: Sequence[int]) -> JobNumbers:
        made = super().__new__(cls, numbers[0])
        made._numbers = numbers
        return made

    def __add__(self, place: int) -> int:
        return self._numbers[place]


class Race:
    """The jobs of a sweep, rung by rung.

    Args:
        sweep: that was planned in rungs, and is open.
    """

    def __init__(self, sweep: Sweep) -> None:
        assert sweep.halving is not None
        self._sweep, self._halving = sweep, sweep.halving
        # As far as the jobs have trained; none is the end.
        self._stops: list[int | None] = [*self._halving.rungs, None]
        self._at = -1
        # How far the jobs of the race have come, in epochs.
        self._reached = 0
        self._launched = [
            number for number in range(len(sweep.jobs)) if str(number) not in sweep.repeats.of
        ]
        self._racing = list(self._launched)
        self._interrupted = False
        self._configurations = 0
        self._dropped: dict[int, Path] = {}

    def next_rung(self) -> list[int]:
        """The numbers of the jobs to launch next, all at once; none where the sweep is over, or was
        interrupted."""
        if self._at >= 0:
            self._end_rung()
        if interrupt.requested() or self._interrupted:
            return []
        if not self._launched:
            self._tidy()
            return []
        self._at += 1
        if self._at and len(self._tags()) < 2:
            # Nothing is left to be dropped.
            self._at = len(self._stops) - 1
        stop = self._stops[self._at]
        state.forget_outcomes(self._sweep.folder, self._launched)
        state.note(self._sweep.folder, state.Rung(stop))
        state.note(self._sweep.folder, self._expected(stop))
        self._reached = stop or self._halving.epochs
        until = f"epoch {stop}" if stop is not None else "the end"
        place = f"rung {self._at + 1} of {len(self._stops)}"
        log.info("%s, to %s: %d jobs", place, until, len(self._launched))
        return self._launched

    def _expected(self, stop: int | None) -> Expected:
        """The work of a rung, by which its end is told."""
        whole, before = self._sweep.expected, self._reached
        jobs = {}
        for number in map(str, self._launched):
            job, last = whole.jobs[number], stop or self._halving.epochs
            jobs[number] = job._replace(epochs=last, done=min(max(job.done, before), last))
        return replace(whole, jobs=jobs)

    def _end_rung(self) -> None:
        """See how the jobs of a rung have ended, and who of those that paused goes on."""
        outcomes = state.read_outcomes(self._sweep.folder)
        if strange := outcomes.keys() - set(range(len(self._sweep.jobs))):
            raise RuntimeError(f"the launcher has given jobs numbers of its own: {sorted(strange)}")
        ends = {number: each.status for number, each in outcomes.items()}
        self._interrupted = "interrupted" in ends.values()
        # One without a word has failed, as the end of the sweep says.
        self._racing = [
            number for number in self._racing if ends.get(number) in ("paused", "finished")
        ]
        paused = {number for number in self._racing if ends[number] == "paused"}
        stop = self._stops[self._at]
        if stop is not None and not self._interrupted and not interrupt.requested():
            self._judge(stop, paused)
        self._launched = [number for number in self._racing if number in paused]

    def _judge(self, epoch: int, paused: set[int]) -> None:
        """Drop the losers of a rung, of those that paused there."""
        folders, standings, runs = dict[int, Path](), dict[int, Standing](), dict[int, RunRecord]()
        for number in self._racing:
            folder = self._run_folder(number)
            run = None if folder is None else RunState.load(folder)
            standing = None if folder is None else read_standing(folder, epoch)
            fingerprint = self._sweep.jobs[number].fingerprint
            if run is not None and run.tags.get("transfer.fingerprint") != fingerprint:
                # Its folder was given to another since.
                run = None
            if number not in paused and standing is None:
                log.info("%s finished before, and is not compared here", self._name(number))
            if folder is not None and run is not None and standing is not None:
                folders[number], standings[number] = folder, standing
                runs[number] = _record(run)
        tags = {number: run.tags["transfer.configuration"] for number, run in runs.items()}
        self._configurations = max(self._configurations, len(set(tags.values())))
        options = self._halving.options
        rule = Rule(
            options.keep,
            options.eta,
            options.risk,
            self._configurations,
            len(self._halving.rungs),
        )
        falls = find_losers([(runs[each], standings[each]) for each in runs], rule)
        criterion = criterion_of(runs.values())
        for number, tag in tags.items():
            if tag not in falls or number not in paused:
                continue
            fall = falls[tag]
            best = next(each for each, own in tags.items() if own == fall.best)
            behind = points_behind(fall, criterion)
            dropped = Dropped(epoch, behind, self._name(best), standings[number].score)
            log.info("%s: %s", self._name(number), dropped)
            self._drop(number, folders[number], dropped)

    def _drop(self, number: int, folder: Path, dropped: Dropped) -> None:
        own = state.read_outcomes(self._sweep.folder)[number]
        if drop_run(self._sweep.client, folder, dropped, job_folder=Path(own.folder)):
            self._dropped[number] = folder
        outcome = state.Outcome(own.overrides, "dropped", folder=own.folder)
        state.note_outcome(self._sweep.folder, number, outcome)
        self._racing.remove(number)

    def _tags(self) -> set[str]:
        """The configurations that are in the race; of a run that lies elsewhere, one of its own."""
        found = set()
        for number in self._racing:
            folder = self._run_folder(number)
            run = None if folder is None else RunState.load(folder)
            own = None if run is None else run.tags.get("transfer.configuration")
            found.add(own or f"job {number}")
        return found

    def _run_folder(self, number: int) -> Path | None:
        """Where a job's run is kept: its own folder, or that of an earlier command."""
        own = state.read_outcomes(self._sweep.folder)[number].folder
        fingerprint = self._sweep.jobs[number].fingerprint
        run = RunState.load(Path(own))
        if run is not None and run.tags.get("transfer.fingerprint") == fingerprint:
            return Path(own)
        return find_previous_run(self._sweep.client, fingerprint).folder

    def _name(self, number: int) -> str:
        """That of the job, with its number where others have the same."""
        name = self._sweep.jobs[number].name
        alike = [job for job in self._sweep.jobs if job.name == name]
        return f"{name} (job {number})" if len(alike) > 1 else name

    def _tidy(self) -> None:
        """The race is over: what was dropped goes on from its start, if ever."""
        if self._halving.options.keep_checkpoints:
            return
        for folder in self._dropped.values():
            # Another command may have gone on with it since.
            with suppress(LockedError), lock_of(folder):
                run = RunState.load(folder)
                if run is not None and run.status == "KILLED" and run.tags.get(DROPPED_TAG):
                    Checkpoints(folder, run.run_id).remove()


def _record(run: RunState) -> RunRecord:
    tags = {name: value for name, value in run.tags.items() if value is not None}
    return RunRecord(run.run_id, run.name, run.status, run.params, {}, tags)
