"""`tracking.weights=best`: of each configuration of a sweep, the run that validation puts first
keeps its weights; those of the others go when the sweep ends."""

import logging
from collections.abc import Sequence

from transfer.compare.criterion import criterion_of
from transfer.compare.replicates import configurations, replicate_of
from transfer.system.errors import root_cause
from transfer.tracking.find import KEPT_FOR, find_sweep_jobs, find_sweep_run
from transfer.tracking.kept_weights import has_weights, remove_weights
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import Client

log = logging.getLogger(__name__)


def keep_best_weights(client: Client, sweep_id: str) -> int:
    """Delete the weights of what others surpass; runs of other sweeps, those that another sweep
    counts on, and those that were to keep theirs, are left as they are.

    Args:
        sweep_id: of the sweep's own run.

    Returns:
        How many runs have lost theirs.
    """
    jobs = find_sweep_jobs(client, find_sweep_run(client, sweep_id))
    runs = [run for run in jobs if run.finished]
    if not any(may_go(run, sweep_id) for run in runs):
        return 0
    removed = 0
    for group in configurations([run for run in runs if has_weights(client, run)]):
        best = best_on_validation(list(group.values()))
        for run in group.values():
            if run is not best and may_go(run, sweep_id):
                try:
                    remove_weights(client, run, best)
                    removed += 1
                except Exception as error:
                    # Whatever a store makes of it; the sweep is no worse for it.
                    log.warning("the weights of %s stay: %s", run.name, root_cause(error))
    return removed


def best_on_validation(runs: Sequence[RunRecord]) -> RunRecord:
    """The run that did best on its validation images, by what all were selected by; of equals the
    one of the lowest seed, split and fold."""
    measure = criterion_of(runs)

    def place(run: RunRecord) -> tuple[float, tuple[int, ...]]:
        worst = -measure.sign * float("inf")
        return -measure.sign * run.metrics.get(measure.validation, worst), replicate_of(run)

    return min(runs, key=place)


def may_go(run: RunRecord, sweep_id: str) -> bool:
    """Whether the end of a sweep may take a run's weights."""
    own = run.tags.get("mlflow.parentRunId") == sweep_id and KEPT_FOR not in run.tags
    return own and run.params.get("tracking.weights") == "best"
