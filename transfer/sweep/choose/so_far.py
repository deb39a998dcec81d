"""What has come of a sweep that chooses, and how much time what is missing takes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from transfer.compare.criterion import criterion_of
from transfer.config.duration import write_duration
from transfer.sweep.choose.worth import merit_of
from transfer.sweep.outcomes import read_outcomes
from transfer.system import interrupt
from transfer.tracking.find import find_sweep_jobs, find_sweep_run
from transfer.tracking.store import answering

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

# How a job ends that goes on with more time.
_SHORT = {"paused", "out of time", "left out"}
# A command that goes on has to start, and to look at what there is.
_MORE = 1.1


def may_go_on(sweep: Sweep, batch: Iterable[int]) -> bool:
    """Whether another batch may follow: not after an interruption, nor without a budget. Takes note
    of what the jobs of the one that has ended took."""
    outcomes = read_outcomes(sweep.folder)
    sweep.pace.learn_batch(sweep.expected.jobs, outcomes, batch)
    interrupted = any(each.status == "interrupted" for each in outcomes.values())
    return not (interrupted or interrupt.requested()) and sweep.budget is not None


def merits_of(sweep: Sweep) -> dict[str, float]:
    """What each job that has finished came to on validation images, by its fingerprint.

    Raises:
        ConfigError: the store cannot be read.
    """
    assert sweep.run is not None
    with answering(sweep.client.tracking_uri, "read"):
        runs = find_sweep_jobs(sweep.client, find_sweep_run(sweep.client, sweep.run.run_id))
    criterion = criterion_of(runs)
    merits = dict[str, float]()
    for run in runs:
        score = run.metrics.get(criterion.validation)
        if run.finished and score is not None:
            error = 1 - score if criterion.sign > 0 else score
            merits[run.tags["transfer.fingerprint"]] = merit_of(error)
    return merits


def budget_for(sweep: Sweep, seconds: float) -> str:
    """With which budget a command that goes on with a sweep has so many seconds left after all that
    there was no time for: "1h30m", to the minute."""
    assert sweep.budget is not None
    short = 0.0
    for number, outcome in read_outcomes(sweep.folder).items():
        if outcome.status in _SHORT:
            job = sweep.expected.jobs[str(number)]
            short += sweep.pace.seconds(job, job.done, job.epochs) or 0.0
    needed = sweep.budget.used + 2 * sweep.budget.report + seconds
    needed += short / max(sweep.expected.at_once, 1)
    return write_duration(60 * math.ceil(_MORE * needed / 60))
