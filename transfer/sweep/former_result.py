"""What an earlier run of the same job gave, for a command that need not train it again."""

import logging

from transfer.evaluate.metrics import result_of
from transfer.job import Job
from transfer.sweep.entry import JobContext, Result
from transfer.system.checkpoints import Checkpoints
from transfer.tracking.previous_run import folder_of
from transfer.tracking.start import find_finished, find_repeated, find_standing

log = logging.getLogger(__name__)


def former_result(job: Job, context: JobContext) -> Result | None:
    """What the run of the same job gave that has finished, or has been where this one is to pause,
    if there is one: with `resume` any, else one of this very sweep.

    Raises:
        ConfigError: the store cannot be used.
    """
    if job.config.resume:
        finished = find_finished(job, context.sweep)
    else:
        finished = find_repeated(job, context.sweep) if context.sweep else None
    if finished is None:
        standing = find_standing(job, context.folder, context.sweep)
        return None if standing is None else Result(standing.score, paused=True)
    log.info("%s: finished before, run %s", job.name, finished.id)
    if folder := folder_of(finished):
        # A kill in the last moment leaves them behind.
        Checkpoints(folder, finished.id).remove()
    return Result(result_of(job.config.select_by, finished.metrics))
