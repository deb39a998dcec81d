"""Jobs of a race that wait at a rung, for the time seemed too short for them: the best of all may
be among them, and with time that is left after the race it goes on."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

from transfer.compare.criterion import CRITERIA
from transfer.sweep.choose.worth import Prospect, merit_of
from transfer.sweep.outcomes import read_outcomes
from transfer.tracking.previous_run import run_folder
from transfer.tracking.run_state import RunState

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

_SHORT = ("paused", "out of time")


class Halfway(NamedTuple):
    """Where the jobs of a configuration wait.

    Attributes:
        epochs: that each has trained.
        merit: of the best of these on validation images, as `transfer.sweep.choose.worth` counts
            it: the mean over the jobs.
        seconds: that all take to their end.
    """

    epochs: Sequence[int]
    merit: float
    seconds: float

    @classmethod
    def of(cls, sweep: Sweep, numbers: Sequence[int]) -> Self | None:
        """Where these jobs wait; None where one does not, or nobody knows where."""
        outcomes, found = read_outcomes(sweep.folder), []
        for number in numbers:
            outcome = outcomes.get(number)
            if outcome is None or outcome.status not in _SHORT:
                return None
            reached = _reached(sweep, number, outcome.folder)
            job = sweep.expected.jobs[str(number)]
            rest = None if reached is None else sweep.pace.seconds(job, reached[0], job.epochs)
            if reached is None or rest is None:
                return None
            found.append((*reached, rest))
        if not found:
            return None
        epochs, merits, seconds = zip(*found, strict=True)
        return cls(epochs, statistics.mean(merits), sum(seconds))

    def improve(self, prospect: Prospect) -> Prospect:
        """What a configuration may come to, which has come to this already."""
        return prospect._replace(merit=max(prospect.merit, self.merit))


def _reached(sweep: Sweep, number: int, own: str) -> tuple[int, float] | None:
    """The epochs that a job has trained, and the merit of the best of them."""
    folder = run_folder(sweep.client, sweep.jobs[number].fingerprint, own)
    run = None if folder is None else RunState.load(folder)
    if run is None:
        return None
    criterion = CRITERIA[run.params.get("select_by", "acc")]
    name = f"val/{criterion.name}"
    scores = {step: each.value for (_, of, step), each in run.points.items() if of == name}
    if not scores:
        return None
    best = max(criterion.sign * each for each in scores.values())
    return max(scores), merit_of(1 - best if criterion.sign > 0 else -best)
