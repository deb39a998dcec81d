"""The jobs of a sweep as Slurm's, or as processes of this machine, by the package submitit.

A job that Slurm ends goes on from its checkpoint when Slurm begins it again: after a preemption or
`scontrol requeue`, and with `max_num_timeout` after a time limit.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import submitit
from hydra.core.utils import JobReturn

from transfer.sweep.compose import require_folder
from transfer.sweep.launch.cluster_jobs import ClusterJob, ClusterSweep
from transfer.sweep.launch.slurm_room import require_job, require_partition
from transfer.system import interrupt
from transfer.system.errors import ConfigError, first_line

if TYPE_CHECKING:
    from submitit.core.core import Job

log = logging.getLogger(__name__)

Where = Literal["slurm", "local"]
# Names that submitit has for all clusters; those of one begin with its name.
_COMMON = {
    "timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "name",
    "stderr_to_stdout",
}  # fmt: skip
_LOOK_S = 0.5
# Seconds between two questions to Slurm.
_ASK_S = 10.0


class SubmittedJob:
    """What submitit pickles, and calls on a machine of the cluster."""

    def __init__(self, job: ClusterJob) -> None:
        self._job = job

    def __call__(self) -> JobReturn:
        environment = submitit.JobEnvironment()
        # Submitit's own: it asks for the job to be begun again.
        requeue = signal.getsignal(signal.SIGUSR2)
        result = self._job.run(environment.job_id)
        if interrupt.requested():
            warned = interrupt.received() == signal.SIGUSR2 or _still_counts_as_running(environment)
            if warned and callable(requeue):
                requeue(signal.SIGUSR2, None)
            # Without a result: whether the job goes on later is for the cluster to say.
            sys.stdout.flush()
            sys.exit(interrupt.EXIT_CODE)
        return result

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What submitit is to call after a time limit: the run's folder has all the rest."""
        return submitit.helpers.DelayedSubmission(self)


def _still_counts_as_running(environment: submitit.JobEnvironment) -> bool:
    """Whether Slurm has done no more than to send SIGTERM, as when a preemption has a grace time:
    a job that ends within that it would take for done. One that it cancels or requeues itself is
    completing."""
    if environment.cluster != "slurm":
        return False
    asked = subprocess.run(
        ["squeue", f"--jobs={environment.job_id}", "--noheader", "--format=%T"],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() == "RUNNING"


def launch(
    sweep: ClusterSweep,
    where: Where,
    params: Mapping[str, Any],
    overrides: Sequence[Sequence[str]],
    first: int,
) -> list[JobReturn]:
    """Run the jobs, and wait for all of them.

    Args:
        params: the keys of `hydra.launcher`.
        overrides, first: as `ClusterSweep.jobs` has them.

    Raises:
        ConfigError: Slurm refuses the jobs.
    """
    executor = _executor(where, params)
    jobs = sweep.jobs(overrides, first)
    # It would say again what Hydra's own log says.
    logging.getLogger("submitit").propagate = False
    try:
        submitted = executor.submit_array([SubmittedJob(each) for each in jobs])
    except RuntimeError as error:
        # Such as a partition that the cluster does not have.
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError("hydra/launcher", f"submitit_{where}", said[-1]) from error
    log.info("%d jobs of %s; what they print: %s", len(jobs), where, submitted[0].paths.folder)
    return _Waiting(where, jobs, submitted).results()


def require_accepted(where: Where, params: Mapping[str, Any]) -> None:
    """Refuse what submitit does, and what the cluster would, or has not.

    Args:
        params: the keys of `hydra.launcher`.

    Raises:
        ConfigError: no job could be launched.
    """
    try:
        # Submitit makes the folder at once, and that of the sweep has to be new.
        with TemporaryDirectory() as folder:
            _executor(where, {**params, "submitit_folder": folder})
    except (AssertionError, NameError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError("hydra/launcher", f"submitit_{where}", first_line(error)) from error
    require_folder("hydra.launcher.submitit_folder", params["submitit_folder"])
    if where == "slurm":
        require_partition(params.get("partition"), params.get("additional_parameters") or {})
        require_job(params)
    elif asked := params.get("gpus_per_node"):
        # It takes seconds, which most commands do without.
        from torch import cuda

        if asked > (gpus := cuda.device_count()):
            problem = f"this machine has {gpus} GPUs; leave it null, or give at most {gpus}"
            raise ConfigError("hydra.launcher.gpus_per_node", asked, problem)


def _executor(where: Where, params: Mapping[str, Any]) -> submitit.AutoExecutor:
    chosen = {name: value for name, value in params.items() if value is not None}
    folder = chosen.pop("submitit_folder")
    timeouts = {f"{where}_max_num_timeout": chosen.pop("max_num_timeout", 0)}
    executor = submitit.AutoExecutor(folder, cluster=where, **timeouts)
    executor.update_parameters(
        **{name if name in _COMMON else f"{where}_{name}": value for name, value in chosen.items()}
    )
    return executor


class _Waiting:
    """Waits for jobs that were submitted; an interruption is passed on to them."""

    def __init__(
        self, where: Where, jobs: Sequence[ClusterJob], submitted: Sequence[Job[Any]]
    ) -> None:
        self._where = where
        self._jobs, self._submitted = jobs, submitted
        self._asked = time.monotonic()

    def results(self) -> list[JobReturn]:
        found: dict[int, JobReturn] = {}
        cancelled = False
        while len(found) < len(self._jobs):
            waiting = [index for index in range(len(self._jobs)) if index not in found]
            if interrupt.requested() and not cancelled:
                cancelled = True
                self._cancel(waiting)
            # In this order: what is over has written its result, if it has one.
            over = self._over(waiting)
            for index in waiting:
                if self._submitted[index].paths.result_pickle.exists():
                    found[index] = self._read(index)
                elif index in over:
                    found[index] = self._lost(index, cancelled)
            time.sleep(_LOOK_S)
        return [found[index] for index in range(len(self._jobs))]

    def _read(self, index: int) -> JobReturn:
        error = self._submitted[index].exception()
        if error is None:
            result: JobReturn = self._submitted[index].result()
            return result
        said = str(error).strip().splitlines()
        return self._jobs[index].died(said[-1] if said else type(error).__name__)

    def _lost(self, index: int, cancelled: bool) -> JobReturn:
        if cancelled:
            return self._jobs[index].stopped()
        said = self._submitted[index].paths.stderr
        return self._jobs[index].died(f"it was ended, and is not begun again; what it said: {said}")

    def _cancel(self, waiting: Sequence[int]) -> None:
        ids = [self._submitted[index].job_id for index in waiting]
        if self._where == "slurm":
            # SIGTERM, and SIGKILL after Slurm's KillWait; those that wait are taken back.
            subprocess.run(["scancel", *ids], check=False)
            return
        for each in ids:
            # The controller passes it on to its job.
            os.kill(int(each), signal.SIGTERM)

    def _over(self, waiting: Sequence[int]) -> set[int]:
        """Those that run no longer, and will not be begun again."""
        if self._where == "local":
            return {index for index in waiting if _has_ended(self._submitted[index])}
        if time.monotonic() < self._asked + _ASK_S:
            return set()
        self._asked = time.monotonic()
        # Not by sacct, as submitit asks: many a cluster has no accounting.
        asked = subprocess.run(
            ["squeue", "--me", "--array", "--noheader", "--format=%i"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode:
            # Slurm does not answer just now.
            return set()
        queued = set(asked.stdout.split())
        return {index for index in waiting if self._submitted[index].job_id not in queued}


def _has_ended(job: Job[Any]) -> bool:
    return bool(job.get_info()["jobState"] != "RUNNING")
