"""Whether a launcher of clusters could run any job: asked before a sweep begins, for what it finds
out later costs a sweep that has failed."""

from __future__ import annotations

from importlib.util import find_spec
from shutil import which
from typing import Any

from omegaconf import DictConfig, OmegaConf

from transfer.config.launchers import check_launcher
from transfer.sweep.gpu_sharing import NUM_GPUS, SHARED
from transfer.system.errors import ConfigError

# What launchers run jobs by: a package, which an extra of this project brings, and a program.
_NEEDED = {
    "RayLauncher": ("ray", "ray", ""),
    "SlurmLauncher": ("submitit", "slurm", "sbatch"),
    "LocalLauncher": ("submitit", "slurm", ""),
}


def require_launcher(config: DictConfig) -> None:
    """Refuse a launcher that could run no job; a preview does not ask the cluster.

    Args:
        config: of the sweep, Hydra's own part included.

    Raises:
        ConfigError: a key of it has a wrong value, what it needs is not installed, or the cluster
            does not answer, or cannot run such jobs.
    """
    module, _, kind = config.hydra.launcher._target_.rpartition(".")
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


def _ask(kind: str, launcher: DictConfig) -> None:
    params: Any = OmegaConf.to_container(launcher, resolve=True)
    del params["_target_"]
    if kind == "RayLauncher":
        from transfer.sweep.ray_jobs import require_cluster

        require_cluster(params["ray"])
    else:
        from transfer.sweep.submitit_jobs import require_accepted

        require_accepted("slurm" if kind == "SlurmLauncher" else "local", params)
