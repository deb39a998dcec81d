"""How many jobs of a sweep share a GPU: what `jobs_per_gpu` comes to by each launcher, and which
place a job has on a machine's GPUs."""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from transfer.config.check import check_key
from transfer.config.overrides import parse_overrides
from transfer.config.schema import KEYS
from transfer.sweep.compose import jobs_at_once, typed
from transfer.system.errors import ConfigError
from transfer.system.lock import Lock, LockedError

log = logging.getLogger(__name__)

SHARED = "jobs_per_gpu"
NUM_GPUS = "hydra.launcher.ray.remote.num_gpus"
# Ray counts GPUs in such parts, and rounds what it is given.
_RAY_PARTS = 10_000
_REFUSED = {
    "BasicLauncher": "jobs run one at a time anyway; hydra/launcher=joblib runs several",
    "SlurmLauncher": "Slurm itself deals out the GPUs; of a cluster that has shards of them, ask "
    "for one a job: hydra.launcher.gres=shard:1",
    "LocalLauncher": "this launcher runs all jobs at once, as a trial of Slurm; "
    "hydra/launcher=joblib runs as many as share the GPUs",
}


def share_gpus(config: DictConfig) -> None:
    """Have the launcher run as many jobs at once as `jobs_per_gpu` lets share the GPUs.

    Args:
        config: of the sweep, Hydra's own part included; is changed.

    Raises:
        ConfigError: the launcher cannot, another key says otherwise, or the jobs differ in it.
    """
    for override in parse_overrides(typed(config, "task")):
        if override.key_or_group == SHARED and override.is_sweep_override():
            value = str(override.input_line).partition("=")[2]
            raise ConfigError(SHARED, value, "is one number for the whole sweep")
    shared = OmegaConf.select(config, SHARED)
    if shared is None:
        return
    check_key(SHARED, KEYS[SHARED], shared)
    kind = config.hydra.launcher._target_.rpartition(".")[2]
    if kind == "RayLauncher":
        _share_by_ray(config, shared)
    elif OmegaConf.select(config, "hydra.launcher.n_jobs") is not None:
        _share_by_workers(config, shared)
    else:
        other = "this launcher has no number of jobs at once; hydra/launcher=joblib has"
        raise ConfigError(SHARED, shared, _REFUSED.get(kind, other))


def refuse_sharing(shared: int | None) -> None:
    """Raise ConfigError where `jobs_per_gpu` was given to a job alone."""
    if shared is not None:
        problem = "is for the jobs of a sweep, with -m and hydra/launcher=joblib or ray"
        raise ConfigError(SHARED, shared, problem)


def ray_share(shared: int) -> float:
    """The part of a GPU that a job asks Ray for, so that `shared` of them have room on one, and no
    more."""
    return math.floor(_RAY_PARTS / shared) / _RAY_PARTS


@contextmanager
def place_on_machine(folder: Path) -> Iterator[int]:
    """The place of a job among those of its sweep that run on this machine at this moment: the
    least number, from 0, that no other one has.

    Numbers of jobs would not do: those that go on, in a race or after an interruption, may all be
    even, and two that end first may have had one GPU. A process that dies leaves its place free.

    Args:
        folder: of the sweep.
    """
    places = folder / ".places"
    places.mkdir(exist_ok=True)
    for place in count():
        lock = Lock(places / f"{socket.gethostname()}-{place}.lock")
        try:
            lock.acquire()
        except LockedError:
            continue
        try:
            yield place
        finally:
            lock.release()
        return


def _share_by_ray(config: DictConfig, shared: int) -> None:
    asked = [each.partition("=")[0].lstrip("+") for each in typed(config, "hydra")]
    launcher = config.hydra.launcher
    if NUM_GPUS in asked or OmegaConf.select(launcher, "ray.remote.num_gpus"):
        own = f"{NUM_GPUS}={OmegaConf.select(launcher, 'ray.remote.num_gpus')}"
        raise ConfigError(SHARED, shared, f"{own} says it already; leave one of the two out")
    with read_write(config), open_dict(config):
        launcher.ray.remote.num_gpus = ray_share(shared)


def _share_by_workers(config: DictConfig, shared: int) -> None:
    # It takes seconds, which most commands do without.
    from transfer.system.device import count_gpus

    gpus = count_gpus(OmegaConf.select(config, "device"))
    if gpus == 0:
        keys = [each.key_or_group for each in parse_overrides(typed(config, "task"))]
        if SHARED in keys and OmegaConf.select(config, "device") == "cpu":
            # Refused as unused, in the same words for a job alone.
            return
        log.warning("%s=%d changes nothing here: there is no GPU", SHARED, shared)
        return
    room = gpus * shared
    if jobs_at_once(config) > room:
        with read_write(config), open_dict(config):
            config.hydra.launcher.n_jobs = room
    jobs, on = jobs_at_once(config), f"{gpus} GPU{'s' if gpus > 1 else ''}"
    log.info("%s=%d: at most %d jobs at once on %s", SHARED, shared, jobs, on)
