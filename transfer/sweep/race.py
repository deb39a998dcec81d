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

from transfer.compare.criterion import criterion_of
from transfer.compare.halving import (
    Fall,
    Rule,
    find_losers,
    places,
    points_behind,
    where_it_leads,
)
from transfer.sweep import state
from transfer.sweep.affordable import Means, count_kept, may_start
from transfer.sweep.expected import ExpectedJob, duration
from transfer.sweep.replicates import Replicates
from transfer.sweep.runners import Runners
from transfer.system import interrupt
from transfer.tracking.dropped import Dropped

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

# Of its time, what a sweep that chooses keeps for further seeds of its finalists.
_FOR_SEEDS = 0.2

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
        at_most: so many jobs are launched at a time; None: all of a rung, or with a budget as many
            as run at the same time, for after each it is seen what time is left.

    Attributes:
        short_of_time: jobs that were dropped though they were not surely behind.
        left_out: those that were never begun, likewise.

    Where it is told by a forecast who goes on, one replicate of each configuration races, and the
    others of the best ones are trained when that is over.
    """

    def __init__(self, sweep: Sweep, at_most: int | None = None) -> None:
        assert sweep.halving is not None
        self._sweep, self._halving = sweep, sweep.halving
        self._runners = Runners(sweep)
        # As far as the jobs have trained.
        self._stops = [*self._halving.rungs, self._halving.epochs]
        self._at = 0
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
        self._means: Means | None = None
        if sweep.budget is not None:
            eta, budget = self._halving.options.eta, sweep.budget
            if sweep.choice is not None:
                kept = budget.report + _FOR_SEEDS * budget.seconds
                budget = replace(budget, report=kept)
            self._means = Means(budget, sweep.pace, self._stops, eta, at_once)
        self._interrupted = False
        # How the jobs of the rung before this one ended.
        self._ended = dict[int, state.Outcome]()
        self._configurations = 0
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
        outcomes = state.read_outcomes(self._sweep.folder)
        if strange := outcomes.keys() - set(range(len(self._sweep.jobs))):
            raise RuntimeError(f"the launcher has given jobs numbers of its own: {sorted(strange)}")
        self._interrupted = "interrupted" in {each.status for each in outcomes.values()}
        if self._means is not None and self._batch:
            for number in outcomes.keys() & set(self._batch):
                self._means.pace.learn(self._sweep.expected.jobs[str(number)], outcomes[number])
            state.note(self._sweep.folder, self._means.pace)

    def _take(self) -> list[int]:
        """The next of those that wait, as far as there is time for them."""
        taken = list[int]()
        while self._waiting and len(taken) < self._at_most:
            number = self._waiting.pop(0)
            if self._runners.stands(number, self._stops[self._at]):
                self._launched.append(number)
            elif self._has_time(number, taken):
                taken.append(number)
            else:
                self._give_up(number)
        return taken

    def _has_time(self, number: int, taken: Sequence[int]) -> bool:
        """Whether a job can go on to this rung, beside those that do already."""
        means = self._means
        if means is None or self._sweep.expected.jobs[str(number)].done >= self._stops[-1]:
            # Of one that was trained to its end little is left, if anything.
            return True
        own = means.stretches(self._job(number, self._at), self._at)
        if own is None:
            # Nothing has run yet: what runs first will tell.
            return means.budget.left > 0
        if not any(own):
            # An earlier command has finished it.
            return True
        if self._is_last_hope(number, taken) and (budget := self._sweep.budget):
            return sum(own) <= budget.left + budget.slack
        done = [means.stretches(self._job(each, self._at), self._at) for each in self._launched]
        with_it = [means.stretches(self._job(each, self._at), self._at) for each in taken]
        begun, beside = ([each for each in some if each is not None] for some in (done, with_it))
        return may_start(own, beside, begun, means)

    def _is_last_hope(self, number: int, taken: Sequence[int]) -> bool:
        """Whether nothing would finish without this job."""
        return not (taken or self._launched or self._waiting) and self._racing == [number]

    def _give_up(self, number: int) -> None:
        """There is no time for a job: it stays as an earlier command has left it, is dropped where
        it stands, or was never begun."""
        if self._at and (number not in self._standing or self._is_last_hope(number, [])):
            # It stays paused.
            state.note_outcome(self._sweep.folder, number, self._ended[number])
        elif self._at:
            self._drop(number)
        elif self._sweep.expected.jobs[str(number)].done:
            self._runners.keep(number)
        else:
            self._runners.leave_out(number)
            self._racing.remove(number)
            self.left_out.append(number)

    def _begin_rung(self) -> None:
        stop = self._stops[self._at] if self._at < len(self._stops) - 1 else None
        self._batch, self._launched = [], []
        state.forget_outcomes(self._sweep.folder, self._waiting)
        state.note(self._sweep.folder, state.Rung(stop))
        jobs = {
            str(number): self._job(number, self._at)._replace(epochs=self._stops[self._at])
            for number in self._waiting
        }
        state.note(self._sweep.folder, replace(self._sweep.expected, jobs=jobs))
        until = f"epoch {stop}" if stop is not None else "the end"
        place = f"rung {self._at + 1} of {len(self._stops)}"
        log.info("%s, to %s: %d jobs", place, until, len(self._waiting))

    def _job(self, number: int, at: int) -> ExpectedJob:
        """The work of a job that has come to the rung before this one."""
        job = self._sweep.expected.jobs[str(number)]
        reached = self._stops[at - 1] if at else 0
        return job._replace(done=min(max(job.done, reached), self._stops[at]))

    def _end_rung(self) -> None:
        """See how the jobs of a rung have ended, and who of those that paused goes on."""
        self._ended = state.read_outcomes(self._sweep.folder)
        ends = {number: each.status for number, each in self._ended.items()}
        # One without a word has failed, as the end of the sweep says.
        self._racing = [
            number for number in self._racing if ends.get(number) in ("paused", "finished")
        ]
        self._waiting = [number for number in self._racing if ends[number] == "paused"]
        if self._at == len(self._stops) - 1:
            # Paused at no rung, for the time was up.
            self._waiting = []
        if self._waiting:
            self._judge(set(self._waiting))
        self._at += 1
        if self._waiting and self._runners.count_configurations(self._racing) < 2:
            # Nothing is left to be dropped.
            self._at = len(self._stops) - 1
        if not self._waiting:
            self._repeat()

    def _repeat(self) -> None:
        """Bring the replicates into the race that were set aside, of the best that finished."""
        self._waiting = self._replicates.take(self._racing)
        if self._waiting:
            log.info("further replicates of the best: %d jobs", len(self._waiting))
            self._racing += self._waiting
            # From their start to their end.
            self._stops, self._at = self._stops[-1:], 0
            if self._means is not None:
                self._means = replace(self._means, stops=self._stops)

    def _judge(self, paused: set[int]) -> None:
        """Drop the losers of a rung, of those that paused there, and what there is no time for; the
        others wait for the next one, with a budget the best of them first."""
        epoch = self._stops[self._at]
        found = self._runners.at(epoch, self._racing, paused)
        standings = [(each.run, each.standing) for each in found.values()]
        options, rungs = self._halving.options, len(self._halving.rungs)
        rule = Rule(options.keep, options.eta, options.risk, 0, rungs, self._halving.epochs)
        order = places(standings, rule)
        self._configurations = max(self._configurations, len(order))
        falls = find_losers(standings, replace(rule, configurations=self._configurations))
        criterion = criterion_of(run for run, _ in standings)
        number_of = {each.run.id: number for number, each in found.items()}
        first_of = {place.name: number_of[place.runs[0]] for place in order}
        self._standing = {}
        going = list[list[int]]()
        first = next((each.name for each in order if each.behind <= 0), "")
        for place in order:
            numbers = [number for run in place.runs if (number := number_of[run]) in paused]
            fall = falls.get(place.name, Fall(first, place.behind))
            ahead, why = self._runners.name(first_of[fall.best]), "time"
            if place.name in falls:
                why = "forecast" if options.keep == "forecast" else "behind"
            for number in numbers:
                folder, score = found[number].folder, found[number].standing.score
                behind, leads = points_behind(fall, criterion), where_it_leads(fall, criterion)
                self._standing[number] = folder, Dropped(epoch, behind, ahead, score, why, leads)
                if why != "time":
                    self._drop(number)
            if numbers and why == "time":
                going.append(numbers)
        if self._means is not None:
            self._afford(going)

    def _afford(self, going: Sequence[list[int]]) -> None:
        """Keep of these configurations, the best first, those for which there is time."""
        assert self._means is not None
        costs = [self._cost(numbers) for numbers in going]
        alone = [self._means.fits(sum(cost), 0.0) for cost in costs]
        if any(alone):
            able = [at for at, fits in enumerate(alone) if fits]
        else:
            # Whatever is nearest to its end may still come there.
            able = [min(range(len(costs)), key=lambda at: sum(costs[at]))] if costs else []
        kept = count_kept([costs[at] for at in able], self._means)
        chosen = able[: max(kept, 1)]
        if len(chosen) < len(going):
            seconds = sum(map(sum, costs)) / self._means.at_once
            log.info(
                "%s are left: of %d configurations %d go on; all would take %s",
                duration(max(self._means.budget.left, 0.0)), len(going), len(chosen),
                duration(seconds),
            )  # fmt: skip
        for at, numbers in enumerate(going):
            for number in numbers if at not in chosen else []:
                self._drop(number)
        waiting = [number for at in chosen for number in going[at]]
        # What stopped on the way, for its time was up, goes on last.
        others = [number for number in self._waiting if number in self._racing]
        self._waiting = list(dict.fromkeys([*waiting, *others]))

    def _cost(self, numbers: Sequence[int]) -> list[float]:
        """Seconds of all stretches that the jobs of a configuration have left."""
        assert self._means is not None
        following = self._at + 1
        found = [
            self._means.stretches(self._job(number, following), following) for number in numbers
        ]
        known = [each for each in found if each is not None]
        return [sum(each) for each in zip(*known, strict=True)]

    def _drop(self, number: int) -> None:
        folder, dropped = self._standing.pop(number)
        self._runners.drop(number, self._ended[number], folder, dropped)
        self._racing.remove(number)
        self._waiting = [each for each in self._waiting if each != number]
        if dropped.why == "time":
            self.short_of_time.append(number)
