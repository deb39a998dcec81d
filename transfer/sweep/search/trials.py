"""What the study of a search keeps of each trial beside its values, and what that comes to."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from transfer.config.search import SearchPlan
from transfer.sweep.search.study import SharedStudy
from transfer.tracking.searches import SearchRecord, TrialRecord
from transfer.tracking.sweep_run import PlannedJob

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

# The job that it came to, as a PlannedJob has it.
JOB = "job"
# The overrides that were chosen for it.
CHOSEN = "chosen"
# The epoch after which the pruner has stopped it.
PRUNED = "pruned"
# Why it failed.
ERROR = "error"
# The number of the failed trial in whose place it is.
RETRY_OF = "retry_of"
# The number of the trial that has trained the same.
REPEATS = "repeats"
# How long it was trained, where it was trained to the end.
SECONDS = "seconds"

_STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}


def retried(study: SharedStudy) -> set[int]:
    """The failed trials in whose place there is another."""
    found = (each.user_attrs.get(RETRY_OF) for each in study.trials())
    return {number for number in found if number is not None}


def typical_seconds(study: SharedStudy) -> float:
    """The median of what trials took that were trained to the end; 0 before there is one."""
    found = [each.user_attrs[SECONDS] for each in study.trials() if SECONDS in each.user_attrs]
    return statistics.median(found) if found else 0.0


def best_until(trial: FrozenTrial, epoch: int) -> float | None:
    """A trial's best score up to an epoch; None where it told none."""
    told = [score for number, score in trial.intermediate_values.items() if number <= epoch]
    return max(told, default=None)


def planned_jobs(study: SharedStudy) -> list[PlannedJob]:
    """The jobs of all trials so far, each once."""
    found: dict[str, PlannedJob] = {}
    for trial in study.trials():
        if JOB in trial.user_attrs:
            job = PlannedJob(**trial.user_attrs[JOB])
            found.setdefault(job.fingerprint, job)
    return list(found.values())


def record_of(study: SharedStudy, plan: SearchPlan) -> SearchRecord:
    """What a report is to know of a search."""
    before = retried(study)
    trials = [_record(each) for each in study.trials() if each.number not in before]
    return SearchRecord(
        select_by=plan.select_by,
        sampler=plan.options.sampler,
        pruner="none" if plan.first_rung is None else plan.options.pruner,
        n_trials=plan.options.n_trials,
        trials=trials,
        importances=study.importances(),
    )


def _record(trial: FrozenTrial) -> TrialRecord:
    own, score = trial.user_attrs, trial.value
    if PRUNED in own:
        score = best_until(trial, own[PRUNED])
    return TrialRecord(
        number=trial.number,
        state=_STATES.get(trial.state.name, "running"),
        chosen=own.get(CHOSEN, []),
        score=score if score is not None and math.isfinite(score) else None,
        epoch=own.get(PRUNED),
        repeats=own.get(REPEATS),
    )
