"""Whether a launcher could run any job: asked before a sweep begins, for what it finds out later
costs a sweep that has failed."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from shutil import which
from typing import Any

from omegaconf import DictConfig, OmegaConf

from transfer.config.launchers import check_launcher
from transfer.sweep.compose import jobs_at_once
from transfer.sweep.launch.gpu_sharing import NUM_GPUS, SHARED
from transfer.system.errors import ConfigError, first_line

# What launchers run jobs by: a package, which an extra of this project brings, and a program.
_NEEDED = {
    "RayLauncher": ("ray", "ray", ""),
    "SlurmLauncher": ("submitit", "slurm", "sbatch"),
    "LocalLauncher": ("submitit", "slurm", ""),
}
# What joblib itself looks at, with what it has where nothing is typed.
_JOBLIB_ASKED = {"batch_size": "auto", "max_nbytes": None, "pre_dispatch": "2*n_jobs"}


def require_launcher(config: DictConfig) -> None:
    """Refuse a launcher that could run no job; a preview does not ask the cluster.

    Args:
        config: of the sweep, Hydra's own part included.

    Raises:
        ConfigError: a key of it has a wrong value, what it needs is not installed, or the cluster
            does not answer, or cannot run such jobs.
    """
    module, _, kind = config.hydra.launcher._target_.rpartition(".")
    if kind == "JoblibLauncher":
        check_launcher(kind, config.hydra.launcher)
        _try_joblib(config)
    if not module.endswith("cluster_launchers"):
        return
    check_launcher(kind, config.hydra.launcher)
    choice = config.hydra.runtime.choices["hydra/launcher"]
    package, extra, program = _NEEDED[kind]
    if find_spec(package) is None:
        install = f"python -m pip install -c constraints.txt -e '.[{extra}]'"
        problem = f"needs the package {package}, which is not installed: {install}"
        raise ConfigError("hydra/launcher", choice, problem)
    if program and which(program) is None:
        problem = f"there is no {program} here; type it where Slurm's commands are"
        raise ConfigError("hydra/launcher", choice, problem)
    if OmegaConf.select(config, "preview"):
        return
    try:
        _ask(kind, config.hydra.launcher)
    except ConfigError as error:
        shared = OmegaConf.select(config, SHARED)
        if shared is None or error.key != NUM_GPUS:
            raise
        raise ConfigError(SHARED, shared, "no node of the cluster has a GPU to share") from error


def _try_joblib(config: DictConfig) -> None:
    """Refuse what joblib does, and that with which it runs nothing, by jobs without work in
    threads."""
    for name, default in _JOBLIB_ASKED.items():
        value = OmegaConf.select(config, f"hydra.launcher.{name}")
        if value == default:
            continue
        from joblib import Parallel, delayed

        chosen = value
        with suppress(TypeError, ValueError):
            # As the plugin passes it on.
            chosen = int(value)
        try:
            # With one worker joblib does not look at all of it.
            workers = Parallel(max(jobs_at_once(config), 2), backend="threading", **{name: chosen})
            problem = "" if len(workers(delayed(int)() for _ in "ab")) == 2 else "no job would run"
        except (TypeError, ValueError) as error:
            problem = first_line(error).rstrip(".")
        if problem:
            leave = "null" if default is None else default
            raise ConfigError(f"hydra.launcher.{name}", value, f"{problem}; leave it {leave}")


def _ask(kind: str, launcher: DictConfig) -> None:
    params: Any = OmegaConf.to_container(launcher, resolve=True)
    del params["_target_"]
    if kind == "RayLauncher":
        from transfer.sweep.launch.ray_jobs import require_cluster

        require_cluster(params["ray"])
    else:
        from transfer.sweep.launch.submitit_jobs import require_accepted

        require_accepted("slurm" if kind == "SlurmLauncher" else "local", params)
