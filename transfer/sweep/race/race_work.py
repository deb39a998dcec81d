"""The work that the jobs of a race have left, and what of it there is time for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from transfer.sweep.budget import FOR_SEEDS
from transfer.sweep.expected import ExpectedJob, duration
from transfer.sweep.race.affordable import Resources, count_kept, may_start

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

log = logging.getLogger(__name__)


class RaceWork:
    """How far the jobs of a race train, and how long that takes.

    Args:
        sweep: that was planned in rungs, and is open.
        at_once: how many jobs run at the same time, at least 1.

    Attributes:
        stops: the epochs at which jobs pause, and that of their end.
        rung: the number of the stop that they train to now, from 0.
        late: jobs that came into the race in this rung: they train to it from their start.
        resources: what the race may spend; None without a budget.
    """

    def __init__(self, sweep: Sweep, at_once: int) -> None:
        assert sweep.halving is not None
        self._sweep = sweep
        self.stops = [*sweep.halving.rungs, sweep.halving.epochs]
        self.rung = 0
        self.late = set[int]()
        self.resources: Resources | None = None
        if sweep.budget is not None:
            eta, budget = sweep.halving.options.eta, sweep.budget
            if sweep.choice is not None:
                kept = budget.report + FOR_SEEDS * budget.seconds
                budget = replace(budget, report=kept)
            self.resources = Resources(budget, sweep.pace, self.stops, eta, at_once)

    @property
    def stop(self) -> int:
        """The epoch that jobs train to in this rung."""
        return self.stops[self.rung]

    @property
    def is_last(self) -> bool:
        """Whether jobs train to their end in this rung."""
        return self.rung == len(self.stops) - 1

    def go_to_the_end(self) -> None:
        """Let what comes into the race now train from its start to its end."""
        self.stops, self.rung = self.stops[-1:], 0
        if self.resources is not None:
            self.resources = replace(self.resources, stops=self.stops)

    def begins(self, number: int) -> bool:
        """Whether a job trains to this rung from its start."""
        return self.rung == 0 or number in self.late

    def job(self, number: int) -> ExpectedJob:
        """The work of a job to this rung."""
        return self._job(number, self.rung)._replace(epochs=self.stop)

    def has_time(
        self, number: int, beside: Sequence[int], begun: Sequence[int], *, is_last_hope: bool
    ) -> bool:
        """Whether a job can go on to this rung.

        Args:
            beside: jobs that start with it.
            begun: jobs that were launched in this rung before.
            is_last_hope: whether nothing would finish without it.
        """
        resources = self.resources
        if resources is None or self._sweep.expected.jobs[str(number)].done >= self.stops[-1]:
            # Of one that was trained to its end little is left, if anything.
            return True
        own = self._stretches(number, self.rung)
        if own is None:
            # Nothing has run yet: what runs first will tell.
            return resources.budget.left > 0
        if not any(own):
            # An earlier command has finished it.
            return True
        if is_last_hope and (budget := self._sweep.budget):
            return sum(own) <= budget.left + budget.slack
        return may_start(own, self._known(beside), self._known(begun), resources)

    def affordable(self, going: Sequence[Sequence[int]]) -> list[int]:
        """Which configurations there is time for beyond this rung, by their places.

        Args:
            going: the jobs of each that could go on, the best first.
        """
        assert self.resources is not None
        costs = [self._cost(numbers) for numbers in going]
        alone = [self.resources.fits(sum(cost), 0.0) for cost in costs]
        if any(alone):
            able = [at for at, fits in enumerate(alone) if fits]
        else:
            # Whatever is nearest to its end may still come there.
            able = [min(range(len(costs)), key=lambda at: sum(costs[at]))] if costs else []
        kept = count_kept([costs[at] for at in able], self.resources)
        chosen = able[: max(kept, 1)]
        if len(chosen) < len(going):
            seconds = sum(map(sum, costs)) / self.resources.at_once
            log.info(
                "%s are left: of %d configurations %d go on; all would take %s",
                duration(max(self.resources.budget.left, 0.0)), len(going), len(chosen),
                duration(seconds),
            )  # fmt: skip
        return chosen

    def _job(self, number: int, rung: int) -> ExpectedJob:
        """The work of a job that has come to the rung before this one."""
        job = self._sweep.expected.jobs[str(number)]
        reached = self.stops[rung - 1] if rung and not self._is_late(number, rung) else 0
        return job._replace(done=min(max(job.done, reached), self.stops[rung]))

    def _is_late(self, number: int, rung: int) -> bool:
        return rung == self.rung and number in self.late

    def _known(self, numbers: Sequence[int]) -> list[list[float]]:
        found = [self._stretches(number, self.rung) for number in numbers]
        return [each for each in found if each is not None]

    def _stretches(self, number: int, rung: int) -> list[float] | None:
        """Seconds of a job to a rung, and from each to the next; None where nobody knows."""
        assert self.resources is not None
        job = self._job(number, rung)
        if not self._is_late(number, rung):
            return self.resources.stretches(job, rung)
        every = self.resources.stretches(job, 0)
        return every and [sum(every[: rung + 1]), *every[rung + 1 :]]

    def _cost(self, numbers: Sequence[int]) -> list[float]:
        """Seconds of all stretches that the jobs of a configuration have left after this rung."""
        found = [self._stretches(number, self.rung + 1) for number in numbers]
        known = [each for each in found if each is not None]
        return [sum(each) for each in zip(*known, strict=True)]
