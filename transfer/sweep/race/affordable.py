"""What of a sweep in rungs can still be trained in the time that is left."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from transfer.sweep.budget import Budget
from transfer.sweep.expected import ExpectedJob
from transfer.sweep.pace import Pace


@dataclass(frozen=True)
class Resources:
    """What a race may spend, and how fast it is.

    Attributes:
        stops: epochs at which the jobs pause, and that of their end.
        eta: one of so many is counted on to go on from one rung to the next.
        at_once: how many jobs run at the same time, at least 1.
    """

    budget: Budget
    pace: Pace
    stops: Sequence[int]
    eta: float
    at_once: int

    def stretches(self, job: ExpectedJob, at: int) -> list[float] | None:
        """Seconds from each rung to the next until the end, from number `at` of the stops on; None
        where nothing is known of any job.

        Args:
            job: of which `done` epochs are trained.
        """
        starts = [self.stops[at - 1] if at else 0, *self.stops[at:-1]]
        found = [
            self.pace.seconds(job, max(first, job.done), last)
            for first, last in zip(starts, self.stops[at:], strict=True)
        ]
        known = [each for each in found if each is not None]
        return known if len(known) == len(found) else None

    def fits(self, seconds: float, alone: float) -> bool:
        """Whether the time that is left suffices.

        Args:
            seconds: of all jobs.
            alone: of the longest of them.
        """
        return max(seconds / self.at_once, alone) <= self.budget.left


def count_kept(costs: Sequence[Sequence[float]], resources: Resources) -> int:
    """How many configurations can go on from a rung: as many as there is time for where one of
    `eta` goes on from each later one.

    Args:
        costs: of each, in order of merit, the seconds of every stretch that is left.

    Returns:
        0 where there is not even time for the first.
    """
    return max(
        (kept for kept in range(len(costs) + 1) if kept == 0 or _fits(costs[:kept], resources)),
        default=0,
    )


def _fits(costs: Sequence[Sequence[float]], resources: Resources) -> bool:
    seconds, going = 0.0, len(costs)
    for stretch in range(len(costs[0])):
        seconds += sum(each[stretch] for each in costs[:going])
        going = max(math.ceil(going / resources.eta), 1)
    return resources.fits(seconds, max(sum(each) for each in costs[:1]))


def may_start(
    job: Sequence[float],
    beside: Sequence[Sequence[float]],
    begun: Sequence[Sequence[float]],
    resources: Resources,
) -> bool:
    """Whether one more job can go on to a rung, where nobody knows yet which will go on from there.

    Args:
        job: seconds of its stretches, the one to that rung first.
        beside: likewise of those that start with it.
        begun: likewise of those that have come to that rung already.
    """
    if not resources.fits(0.0, sum(job)):
        return False
    seconds = sum(each[0] for each in (job, *beside))
    going = len(later := [each[1:] for each in (job, *beside, *begun)])
    for stretch in zip(*later, strict=True):
        going = max(math.ceil(going / resources.eta), 1)
        seconds += going * sum(stretch) / len(stretch)
    return resources.fits(seconds, 0.0)
