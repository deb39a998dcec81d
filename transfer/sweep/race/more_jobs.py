"""Jobs that a sweep gets while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from transfer.config import typed_config
from transfer.sweep import state
from transfer.sweep.compose import compose_jobs
from transfer.sweep.expected import expected_job
from transfer.sweep.outcomes import forget_outcomes
from transfer.sweep.preview import epochs_done
from transfer.sweep.turns import prepare_in_turn
from transfer.tracking.sweep_run import PlannedJob, list_jobs

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep


def add_jobs(sweep: Sweep, config: DictConfig, split: Sequence[Sequence[str]]) -> list[int]:
    """Make these jobs part of a sweep, and ready to be launched to their end.

    Args:
        sweep: that is open.
        config: of the sweep, Hydra's own part included.
        split: the overrides of each.

    Returns:
        their numbers.

    Raises:
        ConfigError: one cannot run; none is part of the sweep then.
    """
    composed = [
        (sweep.auto.pin(typed_config(each)), overrides)
        for overrides, each in compose_jobs(config, [list(each) for each in split])
    ]
    found = {}
    for place, job in prepare_in_turn(composed):
        planned = PlannedJob(job.name, " ".join(split[place]), job.fingerprint)
        done = epochs_done(sweep.client, job) if sweep.resume else 0
        found[place] = planned, expected_job(job, done)
    numbers = list(range(len(sweep.jobs), len(sweep.jobs) + len(split)))
    of_new = {str(number): found[place][1] for place, number in enumerate(numbers)}
    sweep.jobs = [*sweep.jobs, *(found[place][0] for place in range(len(split)))]
    sweep.split = [*sweep.split, *split]
    sweep.expected = replace(sweep.expected, jobs={**sweep.expected.jobs, **of_new})
    assert sweep.run is not None
    list_jobs(sweep.client, sweep.run, sweep.repeats.distinct(sweep.jobs))
    launch_to_the_end(sweep, numbers)
    return numbers


def launch_to_the_end(sweep: Sweep, numbers: Sequence[int]) -> None:
    """Note that these jobs of a sweep are the next, and train all of their epochs."""
    forget_outcomes(sweep.folder, numbers)
    state.note(sweep.folder, state.Rung(None))
    jobs = {str(number): sweep.expected.jobs[str(number)] for number in numbers}
    state.note(sweep.folder, replace(sweep.expected, jobs=jobs))
    # How fast others were tells them when to stop.
    state.note(sweep.folder, sweep.pace)
