"""What can be chosen of the launchers that run several jobs at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import DictConfig

from transfer.config.key import key
from transfer.config.options import read_options
from transfer.system.errors import ConfigError

_PREFIX = "hydra.launcher."


@dataclass
class LocalConfig:
    """The keys that conf/hydra/launcher/submitit_local.yaml explains."""

    submitit_folder: str = key("${hydra.sweep.dir}/.submitit/%j")
    name: str = key("${hydra.job.name}")
    timeout_min: int = key(1440, low=1, unit="minutes")
    max_num_timeout: int = key(3, low=0)
    gpus_per_node: int | None = key(None, low=0, unit="GPUs")


@dataclass
class SlurmConfig(LocalConfig):
    """Those that conf/hydra/launcher/submitit_slurm.yaml has, also beside them."""

    timeout_min: int = key(60, low=1, unit="minutes")
    partition: str | None = key(None)
    signal_delay_s: int = key(120, low=1, unit="seconds")
    array_parallelism: int = key(256, low=1, unit="jobs")
    cpus_per_task: int | None = key(None, low=1, unit="cores")
    mem_gb: float | None = key(None, above=0, unit="GiB")
    nodes: int = key(1, low=1, high=1)
    tasks_per_node: int = key(1, low=1, high=1)
    account: str | None = key(None)
    qos: str | None = key(None)
    constraint: str | None = key(None)
    exclude: str | None = key(None)
    gres: str | None = key(None)
    comment: str | None = key(None)
    stderr_to_stdout: bool = key(False)
    setup: list[str] | None = key(None)
    additional_parameters: dict[str, Any] = key({})


@dataclass
class RayInitConfig:
    """The keys below `ray.init` that conf/hydra/launcher/ray.yaml explains."""

    address: str | None = key("auto")
    log_to_driver: bool = key(True)


@dataclass
class RayRemoteConfig:
    """Those below `ray.remote`."""

    num_cpus: float = key(1, low=0, unit="cores")
    num_gpus: float = key(0, low=0, unit="GPUs")
    memory: float | None = key(None, low=0, unit="bytes")
    resources: dict[str, float] = key({})
    max_retries: int = key(0, low=-1)


@dataclass
class JoblibConfig:
    """The options of hydra-joblib-launcher that mean something here; its others are joblib's."""

    n_jobs: int = key(-1)
    # It takes loky and processes, whatever it is told.
    backend: str | None = key(None, choices=("loky",))
    prefer: str = key("processes", choices=("processes",))
    require: str | None = key(None)
    verbose: int = key(0, low=0)
    timeout: float | None = key(None)
    mmap_mode: str = key("r", choices=("r", "r+", "w+", "c"))


_NULL_ALONE = {
    "require": "must be null: jobs run in processes of their own",
    "timeout": "must be null: it would end the whole sweep with the first job that takes longer",
}


def check_launcher(kind: str, launcher: DictConfig) -> None:
    """Refuse values that no job could be launched with.

    Args:
        kind: the class in hydra_plugins/cluster_launchers.py, or joblib's.
        launcher: Hydra's node of it.

    Raises:
        ConfigError: a value is of another type, or out of range.
    """
    if kind == "JoblibLauncher":
        joblib = read_options(_PREFIX, launcher, JoblibConfig)
        for name, problem in _NULL_ALONE.items():
            if (value := getattr(joblib, name)) is not None:
                raise ConfigError(f"{_PREFIX}{name}", value, problem)
    elif kind == "LocalLauncher":
        read_options(_PREFIX, launcher, LocalConfig)
        _refuse_unknown(_PREFIX, launcher, [each.name for each in fields(LocalConfig)])
    elif kind == "SlurmLauncher":
        # What else submitit may know it refuses itself.
        read_options(_PREFIX, launcher, SlurmConfig)
    else:
        _refuse_unknown(_PREFIX, launcher, ["ray"])
        # Below these two stands what Ray itself has, which it refuses itself.
        _refuse_unknown(f"{_PREFIX}ray.", launcher.ray, ["init", "remote"])
        read_options(f"{_PREFIX}ray.init.", launcher.ray.init, RayInitConfig)
        remote = read_options(f"{_PREFIX}ray.remote.", launcher.ray.remote, RayRemoteConfig)
        for name, value in remote.resources.items():
            # Also no NaN.
            if not value >= 0:
                problem = "must be at least 0"
                raise ConfigError(f"{_PREFIX}ray.remote.resources.{name}", value, problem)


def _refuse_unknown(prefix: str, node: DictConfig, known: Sequence[str]) -> None:
    """What is added with a + would else mean nothing, without a word."""
    for name in map(str, node):
        if name not in (*known, "_target_"):
            problem = f"there is no such key; there are {', '.join(known)}"
            raise ConfigError(f"{prefix}{name}", node[name], problem)
