"""A sweep in rungs, as the process that drives it sees it: who is in the race, and who is dropped.

What is decided at a rung follows from what the runs keep in their folders: so a sweep that was
killed and goes on finds the same losers again. With a budget the time that is left decides as well.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from transfer.sweep import state
from transfer.sweep.outcomes import Outcome, forget_outcomes, note_outcome, read_outcomes
from transfer.sweep.race.judging import judge
from transfer.sweep.race.race_work import RaceWork
from transfer.sweep.race.replicates import Replicates
from transfer.sweep.race.runners import Runners
from transfer.system import interrupt
from transfer.tracking.dropped import Dropped

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

log = logging.getLogger(__name__)


class Race:
    """The jobs of a sweep, rung by rung.

    Args:
        sweep: that was planned in rungs, and is open.
        at_most: so many jobs are launched at a time; None: all of a rung, or with a budget as many
            as run at the same time, for after each it is seen what time is left.

    Attributes:
        short_of_time: jobs that were dropped though they were not surely behind.
        left_out: those that were never begun, likewise.

    Where it is told by a forecast who goes on, one replicate of each configuration races, and the
    others of the best ones are trained when that is over; where the one has failed, the next takes
    its place.
    """

    def __init__(self, sweep: Sweep, at_most: int | None = None) -> None:
        assert sweep.halving is not None
        self._sweep, self._halving = sweep, sweep.halving
        self._runners = Runners(sweep)
        self._racing = [
            number for number in range(len(sweep.jobs)) if str(number) not in sweep.repeats.of
        ]
        every = len(self._racing)
        self._replicates = Replicates(sweep, self._runners)
        if self._halving.options.keep == "forecast":
            self._racing = self._replicates.set_aside(self._racing)
        # Those that were launched in this rung, last and in all; and those that wait.
        self._batch, self._launched = list[int](), list[int]()
        self._waiting = list(self._racing)
        at_once = sweep.expected.at_once or max(every, 1)
        self._at_most = at_most or (at_once if sweep.budget else every)
        self._work = RaceWork(sweep, at_once)
        self._interrupted = False
        # How the jobs of the rung before this one ended.
        self._ended = dict[int, Outcome]()
        self._configurations = 0
        self._repeating = False
        # Where each stands, and how far behind, should there be no time for it.
        self._standing = dict[int, tuple[Path, Dropped]]()
        self.short_of_time, self.left_out = list[int](), list[int]()
        self._begin_rung()

    def next_batch(self) -> list[int]:
        """The numbers of the jobs to launch next, all at once; none where the sweep is over, or was
        interrupted."""
        self._look_at_batch()
        while self._goes_on():
            self._batch = self._take()
            if self._batch:
                self._launched += self._batch
                return self._batch
            if self._replace_failed():
                continue
            self._end_rung()
            if not self._waiting:
                break
            self._begin_rung()
        if self._goes_on() and not self._halving.options.keep_checkpoints:
            self._runners.tidy()
        return []

    def _goes_on(self) -> bool:
        return not (self._interrupted or interrupt.requested())

    def _look_at_batch(self) -> None:
        """See how the jobs of a batch have ended."""
        outcomes = read_outcomes(self._sweep.folder)
        if strange := outcomes.keys() - set(range(len(self._sweep.jobs))):
            raise RuntimeError(f"the launcher has given jobs numbers of its own: {sorted(strange)}")
        self._interrupted = "interrupted" in {each.status for each in outcomes.values()}
        if (resources := self._work.resources) is not None and self._batch:
            resources.pace.learn_batch(self._sweep.expected.jobs, outcomes, self._batch)
            state.note(self._sweep.folder, resources.pace)

    def _take(self) -> list[int]:
        """The next of those that wait, as far as there is time for them."""
        taken = list[int]()
        while self._waiting and len(taken) < self._at_most:
            number = self._waiting.pop(0)
            last_hope = self._is_last_hope(number, taken)
            if self._runners.stands(number, self._work.stop):
                self._launched.append(number)
            elif self._work.has_time(number, taken, self._launched, is_last_hope=last_hope):
                taken.append(number)
            else:
                self._give_up(number)
        return taken

    def _is_last_hope(self, number: int, taken: Sequence[int]) -> bool:
        """Whether nothing would finish without this job."""
        return not (taken or self._launched or self._waiting) and self._racing == [number]

    def _give_up(self, number: int) -> None:
        """There is no time for a job: it stays as an earlier command has left it, is dropped where
        it stands, or was never begun."""
        begins = self._work.begins(number)
        if begins and self._sweep.expected.jobs[str(number)].done:
            self._runners.keep(number)
        elif begins:
            self._runners.leave_out(number)
            self._racing.remove(number)
            self.left_out.append(number)
        elif number not in self._standing or self._is_last_hope(number, []):
            # It stays paused.
            note_outcome(self._sweep.folder, number, self._ended[number])
        else:
            self._drop(number)

    def _begin_rung(self) -> None:
        stop = None if self._work.is_last else self._work.stop
        self._batch, self._launched, self._work.late = [], [], set()
        forget_outcomes(self._sweep.folder, self._waiting)
        state.note(self._sweep.folder, state.Rung(stop))
        self._expect(self._waiting)
        until = f"epoch {stop}" if stop is not None else "the end"
        place = f"rung {self._work.rung + 1} of {len(self._work.stops)}"
        place = "further replicates of the best" if self._repeating else place
        log.info("%s, to %s: %d jobs", place, until, len(self._waiting))

    def _expect(self, numbers: Sequence[int]) -> None:
        """Note how much work these jobs are to the end of the rung, for those that tell of it."""
        jobs = {str(number): self._work.job(number) for number in numbers}
        state.note(self._sweep.folder, replace(self._sweep.expected, jobs=jobs))

    def _replace_failed(self) -> bool:
        """Let the next replicate race in the place of each job of this rung that has failed; False
        where there is none."""
        ends = read_outcomes(self._sweep.folder)
        # One without a word has failed, as the end of the sweep says.
        failed = [at for at in self._racing if at not in ends or ends[at].status == "failed"]
        self._waiting = self._replicates.instead_of(failed)
        if not self._waiting:
            return False
        log.info("in the place of those that failed: %d jobs", len(self._waiting))
        self._work.late.update(self._waiting)
        self._racing += self._waiting
        self._expect(self._waiting)
        return True

    def _end_rung(self) -> None:
        """See how the jobs of a rung have ended, and who of those that paused goes on."""
        self._ended = read_outcomes(self._sweep.folder)
        ends = {number: each.status for number, each in self._ended.items()}
        self._racing = [
            number for number in self._racing if ends.get(number) in ("paused", "finished")
        ]
        self._waiting = [number for number in self._racing if ends[number] == "paused"]
        if self._work.is_last:
            # Paused at no rung, for the time was up.
            self._waiting = []
        if self._waiting:
            self._judge(set(self._waiting))
        self._work.rung += 1
        if self._waiting and self._runners.count_configurations(self._racing) < 2:
            # Nothing is left to be dropped.
            self._work.rung = len(self._work.stops) - 1
        if not self._waiting:
            self._repeat()

    def _repeat(self) -> None:
        """Bring the replicates into the race that were set aside, of the best that finished."""
        self._waiting = self._replicates.take(self._racing)
        if self._waiting:
            self._repeating = True
            self._racing += self._waiting
            self._work.go_to_the_end()

    def _judge(self, paused: set[int]) -> None:
        """Drop the losers of a rung, of those that paused there, and what there is no time for; the
        others wait for the next one, with a budget the best of them first."""
        epoch = self._work.stop
        found = self._runners.at(epoch, self._racing, paused)
        judged = judge(found, self._halving, self._configurations, epoch, self._runners.name)
        self._configurations = max(self._configurations, len(judged))
        self._standing = {}
        going = list[list[int]]()
        for own in judged:
            told = {number: dropped for number, dropped in own.items() if number in paused}
            for number, dropped in told.items():
                self._standing[number] = found[number].folder, dropped
                if dropped.why != "time":
                    self._drop(number)
            if numbers := [number for number, each in told.items() if each.why == "time"]:
                going.append(numbers)
        if self._work.resources is not None:
            self._afford(going)

    def _afford(self, going: Sequence[list[int]]) -> None:
        """Keep of these configurations, the best first, those for which there is time."""
        chosen = self._work.affordable(going)
        for at, numbers in enumerate(going):
            for number in numbers if at not in chosen else []:
                self._drop(number)
        waiting = [number for at in chosen for number in going[at]]
        # What stopped on the way, for its time was up, goes on last.
        others = [number for number in self._waiting if number in self._racing]
        self._waiting = list(dict.fromkeys([*waiting, *others]))

    def _drop(self, number: int) -> None:
        folder, dropped = self._standing.pop(number)
        self._runners.drop(number, self._ended[number], folder, dropped)
        self._racing.remove(number)
        self._waiting = [each for each in self._waiting if each != number]
        if dropped.why == "time":
            self.short_of_time.append(number)
