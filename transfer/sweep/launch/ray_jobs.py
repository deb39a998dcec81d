"""The jobs of a sweep as tasks on the nodes of a Ray cluster."""

from __future__ import annotations

import inspect
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from hydra.core.utils import JobReturn
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError, TaskCancelledError

from transfer.sweep.launch.cluster_jobs import ClusterJob, ClusterSweep, variables_to_pass_on
from transfer.sweep.launch.ray_room import ADDRESS, require_answer, require_room, require_room_here
from transfer.system import interrupt
from transfer.system.errors import ConfigError, first_line

log = logging.getLogger(__name__)

_LOOK_S = 0.5


def launch(
    sweep: ClusterSweep,
    params: Mapping[str, Any],
    overrides: Sequence[Sequence[str]],
    first: int,
) -> list[JobReturn]:
    """Run the jobs, and wait for all of them.

    Args:
        params: the keys of `hydra.launcher.ray`.
        overrides, first: as `ClusterSweep.jobs` has them.

    Raises:
        ConfigError: there is no such cluster, or none of its nodes could run a job.
    """
    task = _connected_task(params, params["init"])
    jobs = sweep.jobs(overrides, first)
    # Small enough to travel with the task itself: Ray keeps it in memory, where what is larger may
    # go to a disk.
    variables = variables_to_pass_on()
    return _wait({task.remote(each, variables): index for index, each in enumerate(jobs)}, jobs)


def require_cluster(params: Mapping[str, Any]) -> None:
    """Ask the cluster, before anything is begun there; of one of this machine alone, which is not
    yet started, the machine is asked.

    Args:
        params: the keys of `hydra.launcher.ray`.

    Raises:
        ConfigError: there is no such cluster, or none of its nodes could run a job.
    """
    init = params["init"]
    _require_known(init)
    if init["address"] is None:
        _task(params["remote"])
        require_room_here(params["remote"], init)
        return
    require_answer(init["address"])
    try:
        _connected_task(params, {**init, "log_to_driver": False, "logging_level": "ERROR"})
    finally:
        # What is done before the first job is no business of Ray's threads.
        ray.shutdown()


def _connected_task(params: Mapping[str, Any], init: Mapping[str, Any]) -> Any:
    """What Ray calls for each job, as a task for which a node has room."""
    _connect(init)
    require_room(params["remote"], [node["Resources"] for node in ray.nodes() if node["Alive"]])
    return _task(params["remote"])


def _task(remote: Mapping[str, Any]) -> Any:
    wanted = {name: value for name, value in remote.items() if value is not None}
    try:
        return ray.remote(**wanted)(_run)
    except (AssertionError, TypeError, ValueError) as error:
        raise ConfigError("hydra.launcher.ray.remote", wanted, first_line(error)) from error


def _require_known(init: Mapping[str, Any]) -> None:
    """Refuse what Ray would, but for what it hides: names that begin with an underscore."""
    for name in init.keys() - inspect.signature(ray.init).parameters.keys():
        if not name.startswith("_"):
            problem = "ray.init knows no such argument"
            raise ConfigError(f"hydra.launcher.ray.init.{name}", init[name], problem)


def _run(job: ClusterJob, variables: Mapping[str, str]) -> JobReturn:
    os.environ.update(variables)
    return job.run(ray.get_runtime_context().get_task_id() or "")


def _connect(init: Mapping[str, Any]) -> None:
    """To the cluster, unless an earlier batch of the sweep did."""
    if ray.is_initialized():
        return
    heeded = {number: signal.getsignal(number) for number in interrupt.SIGNALS}
    try:
        # Without an address Ray would look for a cluster that runs already.
        ray.init(**{**init, "address": init["address"] or "local"})
    except (ConnectionError, RuntimeError, ValueError) as error:
        problem = f"{first_line(error)}; to begin a cluster: ray start --head"
        raise ConfigError(ADDRESS, init["address"], problem) from error
    finally:
        # Ray has handlers of its own.
        for number, handler in heeded.items():
            signal.signal(number, handler)


def _wait(tasks: dict[Any, int], jobs: Sequence[ClusterJob]) -> list[JobReturn]:
    """The results of all tasks; an interruption is passed on to them."""
    found: dict[int, JobReturn] = {}
    waiting, cancelled = list(tasks), False
    while waiting:
        if interrupt.requested() and not cancelled:
            cancelled = True
            for each in waiting:
                # As Ctrl-C there; one that waits for a node never begins.
                ray.cancel(each, force=False)
        done, waiting = ray.wait(waiting, num_returns=1, timeout=_LOOK_S)
        for each in done:
            found[tasks[each]] = _result(each, jobs[tasks[each]], cancelled)
    return [found[index] for index in range(len(jobs))]


def _result(task: Any, job: ClusterJob, cancelled: bool) -> JobReturn:
    try:
        result: JobReturn = ray.get(task)
        return result
    except TaskCancelledError:
        return job.stopped()
    except RayTaskError as error:
        said = str(error.cause or error).strip().splitlines()
        return job.died(said[-1] if said else type(error).__name__)
    except OutOfMemoryError:
        return job.died("the node on which it ran was short of memory, and Ray ended it")
    except RayError:
        if cancelled:
            return job.stopped()
        return job.died("the node on which it ran died, or its process did")
